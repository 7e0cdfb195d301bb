//! Clients that misbehave.

use super::*;

fn client_of(flavour: Flavour) -> (&'static str, &'static str) {
    match flavour {
        Flavour::Mariadb => (
            "mariadb-dump",
            "mariadb-dump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)",
        ),
        Flavour::Mysql => ("mysqldump", "mysqldump  Ver 9.7.4-2 for Linux on x86_64 ((Debian))"),
    }
}

/// The accounts' hashes decide on some counts: numbers are hidden, and the client's name.
fn masked(program: &str, error: &StepError) -> String {
    let message = error.message.replace(program, "CLIENT");
    let words = message.split(' ').map(|word| {
        let number = word.trim_matches(|c: char| !c.is_ascii_digit());
        let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        if is_number { word.replace(number, "N") } else { word.to_owned() }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A world in which the client is scripted; the server is real, because it is asked first.
async fn with_client(server: &TempServer, answer: Answer) -> (Bench, Result<DumpOutputs, StepError>) {
    with_client_as(server, answer, json!({})).await
}

pub(super) async fn with_client_as(
    server: &TempServer,
    answer: Answer,
    more: serde_json::Value,
) -> (Bench, Result<DumpOutputs, StepError>) {
    let mut bench = bench(Some(server)).await;
    let (program, version) = client_of(server.flavour());
    bench.world.processes.respond(program, move |spec| {
        if spec.args.iter().any(|arg| arg == "--version") { Answer::success(version) } else { answer.clone() }
    });
    bench.world.world.processes = Arc::new(bench.world.processes.clone());
    let settings = bench.test.cx.settings().clone();
    bench.test = context(&bench.world).step("full").settings(settings).build();
    let result = Dump.run(&params(more), &bench.test.cx).await;
    (bench, result)
}

on_both!(a_dump_that_is_not_proven_leaves_nothing);
async fn a_dump_that_is_not_proven_leaves_nothing(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    let mut session = server.login().connect().await.unwrap().session;
    session.run("be seeded", "CREATE DATABASE shop").await.unwrap();
    session.close().await;
    let (program, _) = client_of(flavour);
    let cut = "-- MariaDB dump\nCREATE TABLE `a` (`id` int);\nINSERT INTO `a` VALUES (1);\n";

    let (bench, result) = with_client(&server, Answer::success("")).await;
    insta::assert_snapshot!(masked(program, &result.unwrap_err()), @"CLIENT gave no whole dump: the dump ended after N bytes without its trailer (`-- Dump completed`)");
    assert!(names(&bench.store).await.is_empty());

    let (bench, result) = with_client(&server, Answer::success(cut).stderr("disk quota")).await;
    insta::assert_snapshot!(masked(program, &result.unwrap_err()), @"CLIENT gave no whole dump: the dump ended after N bytes without its trailer (`-- Dump completed`): disk quota");
    assert!(names(&bench.store).await.is_empty());

    let (bench, result) =
        with_client(&server, Answer::success(format!("{cut}INSERT INTO `a` VALUES ('x"))).await;
    insta::assert_snapshot!(masked(program, &result.unwrap_err()), @"CLIENT gave no whole dump: the dump is not valid: the text ends inside a quoted text (line N, byte N of the SQL text)");
    assert!(names(&bench.store).await.is_empty());

    let whole = format!("{cut}-- Dump completed on x\n");
    let (bench, result) =
        with_client(&server, Answer::failure(3, "Got error: 1142").stdout(whole.clone())).await;
    let error = result.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    insta::assert_snapshot!(masked(program, &error), @"CLIENT failed with exit code N: Got error: N");
    assert!(names(&bench.store).await.is_empty());

    let (bench, result) = with_client(&server, Answer::killed(9).stdout(whole.clone())).await;
    let error = result.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    insta::assert_snapshot!(masked(program, &error), @"CLIENT failed with signal N");
    assert!(names(&bench.store).await.is_empty());

    let (bench, result) = with_client(&server, Answer::success(format!("{whole}system id\n"))).await;
    insta::assert_snapshot!(masked(program, &result.unwrap_err()), @"CLIENT gave no whole dump: the dump is not valid: the client command `system` is no SQL and is refused (line N, byte N of the SQL text)");
    assert!(names(&bench.store).await.is_empty());

    let (bench, result) = with_client(&server, Answer::success(whole)).await;
    assert_eq!(result.unwrap().rows, 1);
    assert_eq!(names(&bench.store).await.len(), 2);
    assert_eq!(bench.world.processes.open_private_files(), 0);
    let lines = bench.world.processes.command_lines().join("\n");
    assert!(!lines.contains(CANARY_PASSWORD) && lines.contains("--defaults-file=/private/"), "{lines}");
}

on_both!(cancelling_ends_the_client_and_leaves_nothing);
async fn cancelling_ends_the_client_and_leaves_nothing(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    let mut session = server.login().connect().await.unwrap().session;
    session.run("be seeded", "CREATE DATABASE shop").await.unwrap();
    session.close().await;
    let bench = bench(Some(&server)).await;
    let (program, version) = client_of(flavour);
    bench.world.processes.respond(program, move |spec| {
        if spec.args.iter().any(|arg| arg == "--version") {
            Answer::success(version)
        } else {
            Answer::hang().stdout("-- MariaDB dump\n")
        }
    });
    let mut world = bench.world.clone();
    world.world.processes = Arc::new(bench.world.processes.clone());
    let test = context(&world).step("full").settings(bench.test.cx.settings().clone()).build();
    let cancel = test.cancel.clone();
    let (processes, started) = (bench.world.processes.clone(), std::time::Instant::now());
    let running = tokio::spawn(async move { Dump.run(&params(json!({})), &test.cx).await });
    while processes.commands().len() < 2 && started.elapsed().as_secs() < 20 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    cancel.cancel();
    assert_eq!(running.await.unwrap().unwrap_err().class, ErrorClass::Cancelled);
    assert!(names(&bench.store).await.is_empty());
    assert_eq!(processes.terminated().first(), Some(&rekindle_engine::host::TerminateReason::Cancelled));
}

on_both!(a_client_that_falls_silent_is_ended_and_leaves_nothing);
async fn a_client_that_falls_silent_is_ended_and_leaves_nothing(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    let mut session = server.login().connect().await.unwrap().session;
    session.run("be seeded", "CREATE DATABASE shop").await.unwrap();
    session.close().await;
    let program = client_of(flavour).0;
    let half = "-- MariaDB dump\nCREATE TABLE `a` (`id` int);\nINSERT INTO `a` VALUES (1);\n";
    let whole = format!("{half}-- Dump completed on x\n");

    for said in ["", half, &whole] {
        let patience = json!({ "stall_timeout": "300ms" });
        let (bench, result) = with_client_as(&server, Answer::hang().stdout(said), patience).await;
        let error = result.unwrap_err();
        assert_eq!(error.class, ErrorClass::Transient);
        assert_eq!(error.message, format!("{program} was silent for 300ms and was ended"));
        assert!(error.help.unwrap().starts_with("end what it waits for (`SHOW PROCESSLIST` on the server)"));
        assert!(names(&bench.store).await.is_empty());
        assert_eq!(bench.world.processes.open_private_files(), 0);
        let reasons = bench.world.processes.terminated();
        assert_eq!(reasons.first(), Some(&rekindle_engine::host::TerminateReason::TimedOut));
    }
}

on_both!(a_client_that_waits_for_a_lock_is_ended_and_the_message_says_for_what);
async fn a_client_that_waits_for_a_lock_is_ended_and_the_message_says_for_what(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    seed(&server).await;
    let mut locking = server.login().connect().await.unwrap().session;
    locking.run("lock a table", "LOCK TABLES shop.a WRITE").await.unwrap();
    let bench = bench(Some(&server)).await;

    let impatient = params(json!({ "stall_timeout": "2s" }));
    let error = Dump.run(&impatient, &bench.test.cx).await.unwrap_err();

    assert_eq!(error.class, ErrorClass::Transient);
    let (program, _) = client_of(flavour);
    assert!(
        error.message.starts_with(&format!("{program} was silent for 2s and was ended; it was in session ")),
        "{error}"
    );
    assert!(error.message.contains("(Waiting for "), "{error}");
    assert!(names(&bench.store).await.is_empty());
    locking.run("let it go", "UNLOCK TABLES").await.unwrap();
    Dump.run(&impatient, &bench.test.cx).await.unwrap();
}

#[test]
fn no_client_is_asked_to_be_faster_than_anything() {
    let error = params(json!({ "stall_timeout": "0s" })).check().unwrap_err();
    insta::assert_snapshot!(error, @"with a `stall_timeout` of nothing no program could do anything");
}
