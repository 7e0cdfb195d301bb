//! Bad input: a diagnostic with file, line, span, what was expected and what to do; exit 2; nothing touched.

use crate::support::{Cluster, Project};

const ENVIRONMENT: &str = r#"apiVersion: rekindle/v1
kind: Environment
name: here
targets:
  primary: { host: 127.0.0.1, port: 1, user: root, password: { secret: root } }
stores:
  primary: { url: "file:store" }
secrets:
  root: { env: ROOT_PASSWORD }
"#;

/// Checks a runbook with these steps and gives what is said of it.
fn check(steps: &str) -> String {
    let project = Project::new();
    project.write("environments/here.yaml", ENVIRONMENT);
    project.write(
        "book.yaml",
        &format!("apiVersion: rekindle/v1\nkind: Runbook\nname: book\nversion: 1.0.0\n{steps}"),
    );
    let before = Project::snapshot(project.path());
    let answer = project.run(&["check", "book.yaml", "-e", "here"]).code(2);
    assert_eq!(Project::snapshot(project.path()), before);
    assert_eq!(answer.stdout, "");
    answer.stderr
}

macro_rules! mistake {
    ($name:ident, $steps:expr) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(check($steps));
        }
    };
}

mistake!(an_unknown_field, "steps:\n  - { id: a, run: [\"true\"], timout: 3s }\n");
mistake!(an_unknown_step_kind, "steps:\n  - id: dump\n    uses: mysql.dmup\n");
mistake!(
    an_unknown_value,
    "values:\n  level: { type: string, default: x }\nsteps:\n  - { id: a, run: [echo, \"{{ values.levle }}\"] }\n"
);
mistake!(
    an_unknown_step_reference,
    "steps:\n  - { id: find, run: [\"true\"] }\n  - { id: b, needs: [fnid], run: [echo, \"{{ steps.fidn.outputs.stdout }}\"] }\n"
);
mistake!(
    a_type_mismatch,
    "values:\n  retention: { type: integer, default: soon }\nsteps:\n  - { id: a, uses: mysql.dump, with: { target: primary, store: primary, name: [full], scope: all } }\n"
);
mistake!(
    a_cycle,
    "steps:\n  - { id: a, run: [echo, \"{{ steps.c.outputs.stdout }}\"] }\n  - { id: b, needs: [a], run: [\"true\"] }\n  - { id: c, needs: [b], run: [\"true\"] }\n"
);
mistake!(a_duplicate_id, "steps:\n  - { id: a, run: [\"true\"] }\n  - { id: a, run: [\"true\"] }\n");
mistake!(an_undefined_template_name, "steps:\n  - { id: a, run: [echo, \"{{ vlaues.x }}\"] }\n");
mistake!(unquoted_braces, "steps:\n  - id: a\n    run: {{ values.command }}\n");
mistake!(an_unknown_target, "steps:\n  - { id: a, uses: mysql.wait-ready, with: { target: primray } }\n");

#[test]
fn all_mistakes_of_both_documents_are_told_at_once() {
    let project = Project::new();
    project.write("environments/here.yaml", &ENVIRONMENT.replace("secret: root }", "secret: rot }"));
    project.write(
        "book.yaml",
        "apiVersion: rekindle/v1\nkind: Runbook\nname: book\nversion: 1\nsteps:\n  - { id: A, runs: x }\n",
    );
    let answer = project.run(&["check", "book.yaml", "-e", "here"]).code(2);
    insta::assert_snapshot!(answer.stderr);
}

#[test]
fn an_unknown_runbook_or_environment() {
    let project = Project::new();
    project.write("environments/here.yaml", ENVIRONMENT);
    insta::assert_snapshot!(project.run(&["plan", "backpu", "-e", "here"]).code(2).stderr, @r"
    error: there is no runbook `backpu` in runbooks/
    help: did you mean `backup`?
    ");
    insta::assert_snapshot!(project.run(&["plan", "backup", "-e", "hree"]).code(2).stderr, @r"
    error: there is no environment `hree` in environments/
    help: did you mean `here`?
    ");
}

#[test]
fn a_missing_secret() {
    let project = Project::new();
    project.write("environments/here.yaml", ENVIRONMENT);
    let answer = project.run(&["run", "backup", "-e", "here", "--yes"]).code(2);
    insta::assert_snapshot!(answer.stderr);
    assert!(!project.path().join("store").exists() && !project.path().join(".rekindle/runs").exists());
}

#[test]
fn an_unreachable_target() {
    let project = Project::new();
    project.write("environments/here.yaml", ENVIRONMENT);
    let output = project
        .command(&["run", "backup", "-e", "here", "--yes"])
        .env("ROOT_PASSWORD", "x")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap());
    assert!(!project.path().join("store").exists() && !project.path().join(".rekindle/runs").exists());
}

#[test]
fn a_wrong_password_a_missing_tool_and_a_store_that_is_not_writable() {
    let cluster = Cluster::up(0);
    let environment = std::fs::read_to_string(cluster.environment()).unwrap();
    let port = environment.split_once("port: ").unwrap().1.split(',').next().unwrap().to_owned();
    let project = &cluster.project;
    let said = |answer: crate::support::Answer| {
        answer.code(2).stderr.replace(&port, "PORT").replace(project.path().to_str().unwrap(), "PROJECT")
    };

    project.write("box/secrets/root", "wrong");
    insta::assert_snapshot!("a_wrong_password", said(cluster.with_environment(&["run", "backup", "--yes"])));
    project.write("box/secrets/root", crate::support::CANARY);

    let output = project
        .command(&["run", "backup", "--yes", "-e", cluster.environment().to_str().unwrap()])
        .env("PATH", project.path())
        .output()
        .unwrap();
    insta::assert_snapshot!("a_missing_client_tool", said(output.into()));

    project.write("box/store", "a file where the store should be");
    insta::assert_snapshot!(
        "a_store_that_is_not_writable",
        said(cluster.with_environment(&["run", "backup", "--yes"]))
    );
}
