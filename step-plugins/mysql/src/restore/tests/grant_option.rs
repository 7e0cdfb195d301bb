//! An account that can't pass on privileges.

use super::*;

on_both!(an_account_that_can_not_make_accounts_is_refused_before_anything_is_written);
async fn an_account_that_can_not_make_accounts_is_refused_before_anything_is_written(flavour: Flavour) {
    let new = server_of(flavour, "new").await;
    let bench = Bench::of(&[&new]).await;
    bench.publish_text("CREATE DATABASE `shop`;\n-- Dump completed\n").await;
    let manifest = bench.get(&format!("backups/shop/b1/{MANIFEST}")).await;
    let mut manifest: Manifest = sealed::open(&manifest).unwrap();
    manifest.server.users = vec!["'ann'@'%'".to_owned()];
    bench.put(&format!("backups/shop/b1/{MANIFEST}"), sealed::seal(&manifest).unwrap()).await;
    let own = ask(&new, "SELECT CURRENT_USER()").await;
    let (user, host) = own.split_once('@').unwrap();
    execute(&new, &[&format!("REVOKE GRANT OPTION ON *.* FROM '{user}'@'{host}'")]).await;

    let error = bench.run(json!({})).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    assert_eq!(
        error.message,
        format!("the account '{user}'@'{host}' of `new` has no WITH GRANT OPTION on *.*")
    );
    assert_eq!(ask(&new, "SHOW DATABASES LIKE '%rekindle%'").await, "");
    assert_eq!(ask(&new, "SELECT @@read_only").await, "0");

    let params = json!({ "backup": "backup://primary/shop/b1", "target": "new" });
    let cx = context(&bench.world).settings(bench.settings.clone()).preflight([]);
    let found = Restore.preflight(&crate::testing::planned(&params), &cx).await;
    assert_eq!(found.problems.len(), 1);
    let text = found.problems[0].to_string().replace(&format!("'{user}'@'{host}'"), "ACCOUNT");
    insta::assert_snapshot!(text, @"
    rekindle::restore::missing_privilege: the account ACCOUNT of `new` has no WITH GRANT OPTION on *.* (/target)
      help: the backup has accounts, which it can't give their privileges; run `GRANT ALL PRIVILEGES ON *.* TO ACCOUNT WITH GRANT OPTION`
    ");
}

on_both!(a_privilege_that_all_privileges_do_not_include_is_left_out_and_told);
async fn a_privilege_that_all_privileges_do_not_include_is_left_out_and_told(flavour: Flavour) {
    let new = server_of(flavour, "new").await;
    let bench = Bench::of(&[&new]).await;
    let dump = "CREATE DATABASE `shop`;\nUSE `shop`;\nCREATE TABLE `a` (`id` int);\nINSERT INTO `a` VALUES (1);\n\
                CREATE USER IF NOT EXISTS `ann`@`%`;\nGRANT PROXY ON ``@`%` TO `ann`@`%` WITH GRANT OPTION;\n\
                GRANT SELECT ON `shop`.* TO `ann`@`%`;\n-- Dump completed\n";
    bench.publish_text(dump).await;
    let test = bench.test();

    Restore.run(&params_of(json!({})), &test.cx).await.unwrap();

    let warnings = test.reporter.warnings().join("\n");
    assert!(warnings.contains("a privilege PROXY is not restored"), "{warnings}");
    assert!(
        ask(&new, "SHOW GRANTS FOR `ann`@`%`").await.contains("SELECT"),
        "what comes after it is restored"
    );
}
