//! Runbook + environment + values + registry → plan. Pure; every mistake is collected.
