use super::*;
use crate::document::rendering::render;

const WHOLE: &str = r#"
apiVersion: rekindle/v1
kind: Runbook
name: disaster-recovery
version: 1.2.0
summary: Rebuild the cluster from the latest verified backup.
values:
  backup:    { type: string, default: latest, description: "backup id, or latest" }
  manifests: { type: list, items: path }
  replicas:  { type: list, items: target, default: [] }
  level:     { type: string, enum: [objects, content], default: content }
  offsite:   { type: store, default: null }
concurrency: { group: "recover/{{ environment.name }}", on_conflict: wait }
defaults: { timeout: 15m, retry: { attempts: 2 } }
steps:
  - id: find
    uses: backup.find
    phase: plan
    with: { store: primary, backup: "{{ values.backup }}", verified: true }
  - id: wait-ready
    name: Wait for the primary
    uses: mysql.wait-ready
    needs: [find]
    with: { target: primary }
    timeout: 10m
    deadline: 1h
    retry: { attempts: 5, delay: 2m, backoff: 1.5, jitter: 0 }
    on_crash: rerun
  - id: reset-replication
    uses: mysql.reset-replication
    needs: wait-ready
    when: "values.replicas | length > 0"
    for_each: "{{ values.replicas }}"
    max_parallel: 2
    with: { replica: "{{ each.value }}" }
  - id: smoke
    run: [./smoke.sh, "{{ values.backup }}"]
    env: { LEVEL: "{{ values.level }}" }
    effect: read
    continue_on_error: true
  - id: tidy
    run: |
      rm -f leftovers
on_failure:
  - { id: page, uses: notify, with: { text: "recovery failed at {{ failure.step }}" } }
finally:
  - { id: report, uses: report.write, with: { dir: "reports/{{ run.id }}" } }
"#;

fn errors(text: &str) -> String {
    match parse(&Source::new("r.yaml", text)) {
        Ok(runbook) => panic!("read without a complaint: {runbook:?}"),
        Err(errors) => render(&errors),
    }
}

#[test]
fn a_whole_runbook_is_read() {
    let runbook = parse(&Source::new("r.yaml", WHOLE)).unwrap_or_else(|errors| panic!("{}", render(&errors)));
    assert_eq!(runbook.name.value, "disaster-recovery");
    assert_eq!(runbook.version, semver::Version::new(1, 2, 0));
    assert_eq!(runbook.values[1].kind, ValueType::List(Box::new(ValueType::Path)));
    assert_eq!(runbook.values[3].kind, ValueType::Enum(vec!["objects".into(), "content".into()]));
    assert_eq!(runbook.concurrency.unwrap().on_conflict, OnConflict::Wait);
    assert_eq!(runbook.defaults.retry.unwrap().attempts, 2);
    let [find, ready, reset, smoke, tidy] = &runbook.steps[..] else { panic!("five steps") };
    assert_eq!(find.phase, Phase::Plan);
    let retry = ready.retry.as_ref().unwrap();
    assert_eq!(retry.max_delay, retry.delay, "a delay that was asked for is not cut by the default");
    assert_eq!(ready.on_crash, Some(OnCrash::Rerun));
    assert_eq!(reset.needs[0].value, "wait-ready");
    assert_eq!(reset.max_parallel, Some(2));
    assert_eq!(smoke.uses.value, "run");
    assert!(smoke.continue_on_error);
    let parameters = serde_json::json!({
        "command": ["./smoke.sh", "{{ values.backup }}"], "env": { "LEVEL": "{{ values.level }}" },
    });
    assert_eq!(smoke.with.to_json(), parameters);
    assert_eq!(tidy.with.to_json(), serde_json::json!({ "script": "rm -f leftovers\n" }));
    assert_eq!(runbook.on_failure[0].id.value, "page");
    assert_eq!(runbook.finally[0].id.value, "report");
}

#[test]
fn the_shipped_runbooks_are_read() {
    for text in [
        include_str!("../../../runbooks/backup.yaml"),
        include_str!("../../../runbooks/verify.yaml"),
        include_str!("../../../runbooks/disaster-recovery.yaml"),
    ] {
        parse(&Source::new("shipped.yaml", text)).unwrap_or_else(|errors| panic!("{}", render(&errors)));
    }
}

#[test]
fn a_format_of_another_version_is_refused_without_noise() {
    insta::assert_snapshot!(errors("apiVersion: rekindle/v2\nkind: Runbook\nnovelty: 1\n"), @r#"
    rekindle::document::api_version: the format `rekindle/v2` is not known
      r.yaml:1:13 "rekindle/v2": not a format this version reads
      help: this version of rekindle reads `rekindle/v1`
    "#);
}
