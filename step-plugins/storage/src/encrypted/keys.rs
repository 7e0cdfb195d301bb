//! Public keys of the environment and the text of an identity file in, what encrypts and decrypts out.

use age::x25519::Recipient;
use age::{Decryptor, Encryptor, IdentityFile};
use rekindle_engine::environment::Encrypt;
use rekindle_engine::host::{Encryption, Secret, StoreErrorKind};

use super::layout::FORMAT;
use super::window::Window;
use crate::failure::Failure;

type Identity = Box<dyn age::Identity + Send + Sync>;

/// Who can read what a store writes, and what it can read itself. Shows no secret.
pub(super) struct Keys {
    encryption: Encryption,
    recipients: Vec<Recipient>,
    identities: Vec<Identity>,
    /// Whether one of the identities is one of the recipients.
    reads_its_own: bool,
}

impl Keys {
    /// Reads keys. The text of the identity is in no error.
    pub(super) fn read(config: &Encrypt, identity: Option<&Secret>) -> Result<Self, Failure> {
        let mut recipients = Vec::new();
        for recipient in &config.recipients {
            let read = recipient.parse::<Recipient>();
            let read =
                read.map_err(|_| Failure::invalid(format!("`{recipient}` is no public key of age")))?;
            recipients.push(read);
        }
        let (identities, own) = match identity {
            Some(identity) => read_identity(identity)?,
            None => (Vec::new(), Vec::new()),
        };
        let recipient_texts: Vec<String> = recipients.iter().map(ToString::to_string).collect();
        let reads_its_own = own.iter().any(|own| recipient_texts.contains(own));
        let encryption = Encryption { format: FORMAT.to_owned(), recipients: recipient_texts };
        let keys = Self { encryption, recipients, identities, reads_its_own };
        // Said now, and not by the first write.
        keys.encryptor()?;
        Ok(keys)
    }

    pub(super) fn encryption(&self) -> &Encryption {
        &self.encryption
    }

    /// Names the recipients in an order of its own: the same text for the same keys.
    pub(super) fn mark(&self) -> String {
        let mut recipients = self.encryption.recipients.clone();
        recipients.sort_unstable();
        format!("{FORMAT} {} ", recipients.join(","))
    }

    /// Makes what encrypts one object: each has a key of its own.
    pub(super) fn encryptor(&self) -> Result<Encryptor, Failure> {
        let recipients = self.recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
        Encryptor::with_recipients(recipients).map_err(|error| Failure::invalid(error.to_string()))
    }

    /// Tells whether there is a key to decrypt with.
    pub(super) fn check_readable(&self) -> Result<(), Failure> {
        if self.identities.is_empty() {
            return Err(Failure::new(
                StoreErrorKind::Denied,
                "it is encrypted, and the store's `encrypt:` names no `identity:` to read it with",
            ));
        }
        Ok(())
    }

    /// Opens an object whose header is at the beginning of `object`, held in memory.
    pub(super) fn open(&self, object: Window) -> Result<age::stream::StreamReader<Window>, Failure> {
        self.check_readable()?;
        let opened = Decryptor::new(object).and_then(|decryptor| {
            decryptor.decrypt(self.identities.iter().map(|identity| &**identity as &dyn age::Identity))
        });
        opened.map_err(|error| match error {
            age::DecryptError::NoMatchingKeys if self.reads_its_own => Failure::new(
                StoreErrorKind::Corrupt,
                "the store's key does not open it: its header is damaged, or it was encrypted to other recipients \
                 than those of today, whose key belongs into the same identity file",
            ),
            age::DecryptError::NoMatchingKeys => Failure::new(
                StoreErrorKind::Denied,
                "the store's key does not open it: the secret that `identity:` names holds another key than one of \
                 the recipients'",
            ),
            _ => Failure::new(StoreErrorKind::Corrupt, "the header of its encryption is damaged"),
        })
    }
}

/// Reads an identity file: lines of secret keys, comments and empty lines. Gives the public keys beside them.
fn read_identity(identity: &Secret) -> Result<(Vec<Identity>, Vec<String>), Failure> {
    let invalid = |why: String| {
        Failure::invalid(format!(
            "the secret that its `identity:` names is no identity file of age, as `age-keygen` writes it: {why}"
        ))
    };
    // Errors of this reader name lines by their numbers and never show them.
    let file = IdentityFile::from_buffer(identity.expose().as_bytes())
        .map_err(|error| invalid(error.to_string()))?;
    let mut public = Vec::new();
    file.write_recipients_file(&mut public).map_err(|_| invalid("it holds no secret key".to_owned()))?;
    let public = String::from_utf8_lossy(&public).lines().map(str::to_owned).collect();
    let identities = file.into_identities().map_err(|_| invalid("its keys can't be used".to_owned()))?;
    Ok((identities, public))
}
