//! The variables of proxies in, what stands in the way of this client out.
//!
//! Contents go by HTTP, which takes the proxy that they name. Everything else goes by gRPC, for which Google's client
//! always connects by itself: behind a proxy that is the only way out, it would wait until its time is over.

use rekindle_engine::host::StoreErrorKind;

use crate::failure::Failure;

const HOST: &str = "storage.googleapis.com";

/// Refuses a store that is to be reached by a proxy.
pub(super) fn refuse(variable: impl Fn(&str) -> Option<String>) -> Result<(), Failure> {
    let set = |name: &&str| variable(name).is_some_and(|value| !value.trim().is_empty());
    let Some(named) = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].into_iter().find(set) else {
        return Ok(());
    };
    let direct = ["NO_PROXY", "no_proxy"].into_iter().filter_map(variable).any(|list| names_the_host(&list));
    if direct {
        return Ok(());
    }
    let why = format!(
        "{named} is set, but only contents would go through that proxy: lists, looks, copies and removals go by gRPC, \
         which takes none; let this machine reach {HOST}:443 by itself, and add `{HOST}` to NO_PROXY"
    );
    Err(Failure::new(StoreErrorKind::Invalid, why))
}

/// Tells whether a list of hosts that are reached without a proxy has this one: by name, by domain, or all.
fn names_the_host(list: &str) -> bool {
    list.split(',').map(str::trim).any(|entry| {
        let domain = entry.trim_start_matches("*.").trim_start_matches('.');
        entry == "*"
            || HOST.eq_ignore_ascii_case(domain)
            || (!domain.is_empty() && HOST.ends_with(&format!(".{}", domain.to_ascii_lowercase())))
    })
}

#[cfg(test)]
mod tests {
    use super::refuse;

    fn refused(variables: &[(&str, &str)]) -> Option<String> {
        let variable =
            |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
        refuse(variable).err().map(|failure| failure.why)
    }

    #[test]
    fn a_proxy_that_serves_contents_alone_is_refused() {
        insta::assert_snapshot!(refused(&[("HTTPS_PROXY", "http://proxy:3128")]).unwrap(), @"HTTPS_PROXY is set, but only contents would go through that proxy: lists, looks, copies and removals go by gRPC, which takes none; let this machine reach storage.googleapis.com:443 by itself, and add `storage.googleapis.com` to NO_PROXY");
        for name in ["https_proxy", "ALL_PROXY", "all_proxy"] {
            assert!(refused(&[(name, "http://proxy:3128")]).unwrap().starts_with(name));
        }
        for none in [&[][..], &[("HTTPS_PROXY", "")], &[("HTTP_PROXY", "http://proxy:3128")]] {
            assert_eq!(refused(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_host_that_is_reached_without_it_is_not() {
        let with = |no_proxy| refused(&[("HTTPS_PROXY", "http://proxy:3128"), ("NO_PROXY", no_proxy)]);
        for direct in [
            "*",
            "storage.googleapis.com",
            "a.example, .googleapis.com",
            "Googleapis.com",
            "*.googleapis.com",
        ] {
            assert_eq!(with(direct), None, "{direct}");
        }
        for other in
            ["", ",", "googleapis.co", "apis.com", "metadata.google.internal", "x.storage.googleapis.com"]
        {
            assert!(with(other).is_some(), "{other}");
        }
        assert_eq!(refused(&[("https_proxy", "http://proxy:3128"), ("no_proxy", "*")]), None);
    }
}
