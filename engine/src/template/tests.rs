use serde_json::{Value, json};

use super::{Context, Partial, Shape, Template, TemplateError, Unknowns, analyse, evaluate, render};
use crate::plan::Param;

fn context() -> Value {
    json!({
        "values": {
            "name": "shop", "n": 3, "ratio": 0.5, "on": true, "nothing": null,
            "names": ["a", "b"], "map": { "x": 1 }, "korean": "백업",
        },
        "environment": { "name": "production" },
        "steps": { "find": { "outputs": { "uri": "file:/b", "bytes": 7 } }, "skipped": { "outputs": {} } },
    })
}

fn rendered(text: &str) -> Result<Value, TemplateError> {
    render(&Param::Template(text.to_owned()), &context())
}

fn value(text: &str) -> Value {
    rendered(text).unwrap()
}

fn message(text: &str) -> String {
    let error = rendered(text).unwrap_err();
    let help = error.help.map(|help| format!(" ({help})")).unwrap_or_default();
    format!("{} @ {:?}{help}", error.message, &text[error.range])
}

fn paths(text: &str) -> Vec<String> {
    let analysis = analyse(text).unwrap();
    analysis
        .references
        .iter()
        .map(|reference| format!("{} @ {}", reference.path.join("."), &text[reference.range.clone()]))
        .collect()
}

fn mistake(text: &str) -> String {
    let error = analyse(text).unwrap_err();
    format!("{} @ {} ({})", error.message, &text[error.range], error.help.unwrap_or_default())
}

#[test]
fn a_text_without_braces_is_no_template() {
    assert_eq!(analyse("a } % # {b}").unwrap().shape, Shape::Text);
    assert_eq!(value("plain"), json!("plain"));
}

#[test]
fn exactly_one_expression_keeps_its_type() {
    assert_eq!(value("{{ values.n }}"), json!(3));
    assert_eq!(value("{{ values.ratio }}"), json!(0.5));
    assert_eq!(value("{{ values.on }}"), json!(true));
    assert_eq!(value("{{ values.nothing }}"), Value::Null);
    assert_eq!(value("{{ values.names }}"), json!(["a", "b"]));
    assert_eq!(value("{{ values.map }}"), json!({ "x": 1 }));
    assert_eq!(value("{{- values.n + 1 -}}"), json!(4));
    assert_eq!(value("{{ [values.n, {'k': values.on}] }}"), json!([3, { "k": true }]));
    assert_eq!(value("{{ (values.name) }}"), json!("shop"));
}

#[test]
fn anything_else_is_text() {
    assert_eq!(value("{{ values.n }}\n"), json!("3\n"));
    assert_eq!(value("{{ values.n }}{{ values.n }}"), json!("33"));
    assert_eq!(value("on={{ values.on }} none={{ values.nothing }}."), json!("on=true none=."));
    assert_eq!(value("{% for n in values.names %}{{ n }};{% endfor %}"), json!("a;b;"));
    assert_eq!(value("<{{ values.korean }}&\">"), json!("<백업&\">"));
    assert_eq!(value("{% raw %}{{ x }}{% endraw %}"), json!("{{ x }}"));
}

#[test]
fn an_undefined_name_is_an_error_also_nested() {
    insta::assert_snapshot!(message("{{ values.nmae }}"), @r#"`values.nmae` is undefined @ "values.nmae" (give it a value, or say what to use instead: `{{ name | default("x") }}`)"#);
    insta::assert_snapshot!(message("x {{ values.nmae }}"), @r#"`values.nmae` is undefined @ "values.nmae" (give it a value, or say what to use instead: `{{ name | default("x") }}`)"#);
    insta::assert_snapshot!(message("{{ values.nmae.deep }}"), @r#"`values.nmae` is undefined @ "values.nmae.deep" (give it a value, or say what to use instead: `{{ name | default("x") }}`)"#);
    insta::assert_snapshot!(message("{{ [1, values.nmae] }}"), @r#"`values.nmae` is undefined @ "values.nmae" (give it a value, or say what to use instead: `{{ name | default("x") }}`)"#);
    insta::assert_snapshot!(message("{{ {'a': {'b': values.nmae}} }}"), @r#"`values.nmae` is undefined @ "values.nmae" (give it a value, or say what to use instead: `{{ name | default("x") }}`)"#);
    insta::assert_snapshot!(message("{% if values.nmae %}x{% endif %}"), @r#"`values.nmae` is undefined @ "values.nmae" (give it a value, or say what to use instead: `{{ name | default("x") }}`)"#);
    insta::assert_snapshot!(message("{{ 'x' if values.on == false }}"), @r#"the value is undefined @ "'x' if values.on == false" (give it a value, or say what to use instead: `{{ name | default("x") }}`)"#);
    insta::assert_snapshot!(message("{{ steps.skipped.outputs.y }}"), @r#"`steps.skipped.outputs.y` is undefined @ "steps.skipped.outputs.y" (give it a value, or say what to use instead: `{{ name | default("x") }}`)"#);
}

#[test]
fn default_stands_in_for_the_outputs_of_a_skipped_step() {
    assert_eq!(value("{{ steps.skipped.outputs.y | default('z') }}"), json!("z"));
    assert_eq!(value("{{ steps.skipped.outputs.y is defined }}"), json!(false));
    assert!(analyse("{{ steps.x.outputs.y | default(values.z) }}").unwrap().references[0].guarded);
    assert!(!analyse("{{ steps.x.outputs.y | default(values.z) }}").unwrap().references[1].guarded);
}

#[test]
fn a_list_or_a_map_does_not_fit_into_text() {
    insta::assert_snapshot!(message("x {{ values.names }}"), @r#"a list can't stand inside text @ "values.names" (join it (`{{ values.names | join(",") }}`), or make the expression the whole value)"#);
    insta::assert_snapshot!(message("x {{ values.map }}"), @r#"a map can't stand inside text @ "values.map" (join it (`{{ values.names | join(",") }}`), or make the expression the whole value)"#);
    assert_eq!(value("x {{ values.names | join(',') }}"), json!("x a,b"));
}

#[test]
fn work_and_size_are_bounded() {
    for text in [
        "{{ [0] * 100000000 }}",
        "{{ 'x' * 100000000 }}",
        "x{{ 'x' * 2000000 }}",
        "{{ 'x' * 2000000 }}",
        "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}",
    ] {
        let error = rendered(text).unwrap_err();
        assert!(
            ["too much work", "longer than", "more than"].iter().any(|bound| error.message.contains(bound)),
            "{text}: {error}"
        );
    }
    let deep = format!("{{{{ {}1 }}}}", "1+".repeat(20_000));
    insta::assert_snapshot!(analyse(&deep).unwrap_err().message, @"the template is too long to be understood");
    let nested = format!("{{{{ {}1{} }}}}", "(".repeat(190), ")".repeat(190));
    assert!(analyse(&nested).is_err());
}

#[test]
fn numbers_that_json_does_not_have_are_refused() {
    insta::assert_snapshot!(message("{{ 1e308 * 10 }}"), @r#"inf is no finite number @ "1e308 * 10""#);
    insta::assert_snapshot!(message("{{ 9223372036854775807 * 4 }}"), @r#"36893488147419103228 does not fit 64 bits @ "9223372036854775807 * 4""#);
}

#[test]
fn references_are_paths_with_their_places() {
    insta::assert_debug_snapshot!(paths("a {{ values.retention.keep_last }} {{ steps[\"wait-ready\"].outputs.uri | upper }}"), @r#"
    [
        "values.retention.keep_last @ values.retention.keep_last",
        "steps.wait-ready.outputs.uri @ steps[\"wait-ready\"].outputs.uri",
    ]
    "#);
    insta::assert_debug_snapshot!(paths("{{ values.map[values.key].x + steps.a.outputs.list[0].y }}"), @r#"
    [
        "values.key @ values.key",
        "values.map @ values.map",
        "steps.a.outputs.list.0.y @ steps.a.outputs.list[0].y",
    ]
    "#);
    insta::assert_debug_snapshot!(paths("{{ run.id if failure.step is defined else environment.name }}"), @r#"
    [
        "run.id @ run.id",
        "failure.step @ failure.step",
        "environment.name @ environment.name",
    ]
    "#);
    insta::assert_debug_snapshot!(paths("{{ values.a[1:values.b] }}{{ {'k': each.value} }}{{ range(values.n) }}"), @r#"
    [
        "values.a @ values.a",
        "values.b @ values.b",
        "each.value @ each.value",
        "values.n @ values.n",
    ]
    "#);
    insta::assert_debug_snapshot!(paths("백업 {{ values.korean }}"), @r#"
    [
        "values.korean @ values.korean",
    ]
    "#);
}

#[test]
fn names_the_template_defines_are_no_references() {
    insta::assert_debug_snapshot!(paths("{% for x in values.xs if x.on %}{{ x.y }}{{ loop.index }}{% else %}{{ x }}{% endfor %}{{ x }}"), @r#"
    [
        "values.xs @ values.xs",
        "x @ x",
        "x @ x",
    ]
    "#);
    insta::assert_debug_snapshot!(paths("{% set v = values.a %}{{ v }}{% with w = v, u = w %}{{ u }}{% endwith %}{{ w }}"), @r#"
    [
        "values.a @ values.a",
        "w @ w",
    ]
    "#);
    insta::assert_debug_snapshot!(paths("{% set ns = namespace(n=0) %}{% set ns.n = values.n %}{{ ns.n }}{% set t %}{{ each.key }}{% endset %}{{ t }}"), @r#"
    [
        "values.n @ values.n",
        "each.key @ each.key",
    ]
    "#);
    insta::assert_debug_snapshot!(paths("{% for k, v in values.map | items %}{{ k }}{{ v }}{% endfor %}"), @r#"
    [
        "values.map @ values.map",
    ]
    "#);
}

#[test]
fn a_computed_step_name_is_refused() {
    insta::assert_snapshot!(mistake("{{ steps[values.name].outputs.uri }}"), @r#"a step must be named, not computed @ steps[values.name].outputs.uri (write steps.NAME.outputs.FIELD, or steps["NAME"].outputs.FIELD)"#);
    insta::assert_snapshot!(mistake("{{ steps | length }}"), @r#"a step must be named, not computed @ steps (write steps.NAME.outputs.FIELD, or steps["NAME"].outputs.FIELD)"#);
    insta::assert_snapshot!(mistake("{% for s in steps %}{% endfor %}"), @r#"a step must be named, not computed @ steps (write steps.NAME.outputs.FIELD, or steps["NAME"].outputs.FIELD)"#);
}

#[test]
fn a_step_with_a_dash_is_a_subtraction() {
    insta::assert_snapshot!(mistake("x {{ steps.wait-ready.outputs.uri }}"), @"`steps.wait-ready` is a subtraction @ steps.wait-ready.outputs.uri (write steps.wait_ready)");
    insta::assert_snapshot!(mistake("{{ steps.reset-replication-2.outputs }}"), @"`steps.reset-replication-2` is a subtraction @ steps.reset-replication-2.outputs (write steps.reset_replication_2)");
    assert!(analyse("{{ steps.find.outputs.bytes - 1 }}").is_ok());
}

#[test]
fn what_a_template_may_not_use_is_found_before_it_runs() {
    insta::assert_snapshot!(mistake("{{ values.name | uper }}"), @"there is no filter `uper` @ uper (did you mean `upper`?)");
    insta::assert_snapshot!(mistake("{{ values.name is defind }}"), @"there is no test `defind` @ defind (did you mean `defined`?)");
    insta::assert_snapshot!(mistake("{{ now() }}"), @"there is no function `now` @ now (the functions are those of Jinja: range, dict, namespace)");
    insta::assert_snapshot!(mistake("{{ values.name.upper() }}"), @"values have no methods @ .upper() (use a filter: `{{ values.name | upper }}`)");
    insta::assert_snapshot!(mistake("{% include 'x' %}"), @"`{% include %}` is not for runbooks @ include 'x' (templates here have expressions, `if`, `for`, `set`, `with` and `filter`)");
    insta::assert_snapshot!(mistake("{{ values. }}"), @"template syntax: unexpected end of variable block, expected identifier or integer @ }} ()");
    insta::assert_snapshot!(mistake("{{ values.name"), @"template syntax: unexpected end of input, expected end of variable block @ name ()");
    insta::assert_snapshot!(mistake("백업 {% if %}"), @"template syntax: unexpected end of block @ %} ()");
}

#[test]
fn a_condition_is_true_or_false_and_nothing_else() {
    assert_eq!(evaluate("values.n > 2 and values.on", &context()).unwrap(), json!(true));
    assert_eq!(evaluate("steps.skipped.outputs.y is defined", &context()).unwrap(), json!(false));
    for not_boolean in ["values.n", "values.name", "values.names", "'false'", "none"] {
        let error = evaluate(not_boolean, &context()).unwrap_err();
        assert!(error.message.starts_with("a condition must be true or false"), "{error}");
    }
    assert!(evaluate("values.nmae", &context()).is_err());
    assert!(evaluate("values.n >", &context()).is_err());
}

fn partly(text: &str) -> String {
    let mut unknown = Unknowns::default();
    unknown.insert(&["steps", "wait-ready"], "known after wait-ready");
    unknown.insert(&["run"], "known when the run starts");
    match Template::parse(text).unwrap().render_partly(&Context::new(&context()), &unknown).unwrap() {
        Partial::Known(value) => value.to_string(),
        Partial::Unknown { display } => display,
    }
}

#[test]
fn an_unknown_spreads_and_is_shown() {
    insta::assert_snapshot!(partly("s3://{{ steps.wait_ready.outputs.host }}/{{ values.name }}"), @"s3://(known after wait-ready)/shop");
    insta::assert_snapshot!(partly("{{ steps[\"wait-ready\"].outputs.host }}"), @"(known after wait-ready)");
    insta::assert_snapshot!(partly("reports/{{ run.id }}/{{ values.on }}"), @"reports/(known when the run starts)/true");
    insta::assert_snapshot!(partly("{{ steps.find.outputs.uri }}"), @r#""file:/b""#);
}

#[test]
fn an_unknown_never_takes_a_branch() {
    insta::assert_snapshot!(partly("{{ steps.wait_ready.outputs.n == 1 }}"), @"(known after wait-ready)");
    insta::assert_snapshot!(partly("{% if steps.wait_ready.outputs.n %}a{% else %}b{% endif %}"), @"(known after wait-ready)");
    insta::assert_snapshot!(partly("{{ 'a' if steps.wait_ready.outputs.n else 'b' }}"), @"(known after wait-ready)");
    insta::assert_snapshot!(partly("{% set x = steps.wait_ready.outputs %}{{ x.n }}"), @"(known after wait-ready)");
    insta::assert_snapshot!(partly("{{ [run] | length }}"), @"(known when the run starts)");
}

#[test]
fn a_path_above_or_below_an_unknown_is_unknown() {
    let mut unknown = Unknowns::default();
    unknown.insert(&["steps", "find", "outputs"], "known after find");
    let path = |parts: &[&str]| parts.iter().map(|&part| part.to_owned()).collect::<Vec<_>>();
    assert!(unknown.find(&path(&["steps", "find"])).is_some());
    assert!(unknown.find(&path(&["steps", "find", "outputs", "uri"])).is_some());
    assert!(unknown.find(&path(&["steps", "found"])).is_none());
    assert!(unknown.find(&path(&["values"])).is_none());
}

#[test]
fn the_known_part_of_a_partly_known_text_must_be_right() {
    let mut unknown = Unknowns::default();
    unknown.insert(&["run"], "known when the run starts");
    let text = "{{ run.id }}/{{ values.nmae }}";
    let template = Template::parse(text).unwrap();
    let error = template.render_partly(&Context::new(&context()), &unknown).unwrap_err();
    assert_eq!(&text[error.range], "values.nmae");
}

#[test]
fn known_values_are_never_rendered_again() {
    let param = Param::Map(
        [
            ("raw".to_owned(), Param::Value(json!("{{ values.name }}"))),
            ("list".to_owned(), Param::List(vec![Param::Template("{{ values.n }}".to_owned())])),
        ]
        .into_iter()
        .collect(),
    );
    assert_eq!(render(&param, &context()).unwrap(), json!({ "raw": "{{ values.name }}", "list": [3] }));
}

#[test]
fn a_context_grows_by_a_name_and_keeps_the_others() {
    let grown = Context::new(&context()).with("each", &json!({ "key": 0, "value": "replica-0" }));
    let text = "{{ each.value }} of {{ environment.name }}";
    assert_eq!(Template::parse(text).unwrap().render(&grown).unwrap(), json!("replica-0 of production"));
}

proptest::proptest! {
    #[test]
    fn any_text_is_understood_or_refused_at_a_place_in_it(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "{{", "}}", "{%", "%}", "{#", "#}", "steps", ".", "-", "[", "]", "\"", "values", "x", "1", " ", "|",
                "default", "(", ")", "for", "in", "if", "endif", "endfor", "set", "=", "백", "\n", "~", "e9", ",",
            ]),
            0..24,
        ),
    ) {
        let text = parts.concat();
        match analyse(&text) {
            Ok(analysis) => {
                for reference in &analysis.references {
                    assert!(text.get(reference.range.clone()).is_some(), "{text:?} {reference:?}");
                }
                let _ = rendered(&text);
            }
            Err(error) => assert!(text.get(error.range.clone()).is_some(), "{text:?} {error:?}"),
        }
    }
}
