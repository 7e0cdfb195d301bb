//! Store URLs in, folders out.

use std::path::PathBuf;

use rekindle_engine::environment::StoreConfig;
use rekindle_engine::host::{StoreError, StoreErrorKind};

use super::FileStore;

/// Finds the folders of `file:` stores; says which schemes there are for any other.
#[derive(Debug, Clone)]
pub struct FileStores {
    base: PathBuf,
}

impl FileStores {
    /// Makes an opener that takes relative URLs (`file:backups`) from the absolute folder `base`.
    pub fn new(base: impl Into<PathBuf>) -> Self {
        Self { base: base.into() }
    }

    /// Makes an opener that takes relative URLs from the working directory.
    pub fn from_working_directory() -> std::io::Result<Self> {
        Ok(Self::new(std::env::current_dir()?))
    }

    /// Gives the store that a configuration names. Whether it is to be encrypted is for others to see to.
    ///
    /// # Errors
    /// `Invalid` when the URL names no folder.
    pub(crate) fn at(&self, config: &StoreConfig) -> Result<FileStore, StoreError> {
        self.folder(&config.url).map(FileStore::new).map_err(|why| StoreError {
            kind: StoreErrorKind::Invalid,
            store: config.url.clone(),
            operation: "open",
            key: String::new(),
            why,
        })
    }

    /// Finds the folder that a URL names: `file:///absolute`, `file:/absolute` or `file:relative`
    /// (RFC 8089, less hosts), percent-encoded where needed.
    fn folder(&self, url: &str) -> Result<PathBuf, String> {
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err("it has no scheme; write `file:///absolute/folder` or `file:relative/folder`".into());
        };
        if scheme != "file" {
            return Err(format!("the scheme `{scheme}:` is not known; `file:` and `s3:` are"));
        }
        let path = match rest.strip_prefix("//") {
            Some(path) if path.starts_with('/') => path,
            Some(path) => {
                let host = path.split('/').next().unwrap_or_default();
                return Err(format!(
                    "`{host}` stands where a host does; an absolute folder has three slashes: `file:///…`"
                ));
            }
            None => rest,
        };
        let path = percent_decode(path)?;
        if path.is_empty() {
            return Err("it names no folder".into());
        }
        // Lexically absolute, with `.` parts removed; `..` is left to the operating system.
        std::path::absolute(self.base.join(path)).map_err(|error| error.to_string())
    }
}

/// RFC 3986 section 2.1.
fn percent_decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let code =
                after.get(..2).and_then(|two| hex::decode(two).ok()).and_then(|code| code.first().copied());
            let code = code.ok_or("`%` must be followed by two hexadecimal digits; a plain one is `%25`")?;
            bytes.push(code);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err("its path is not UTF-8 text".into()),
    }
}
