//! The server's own keys, made at first start.
//!
//! # Invariants
//! * The key-encryption key lies outside the data folder; every private key inside is sealed under
//!   it, but the TLS key, which operators may replace by their own.
//! * A wrapped key names its place, so that none can be put where another belongs.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use qorgan_protocol::crypto;
use qorgan_protocol::crypto::{Hasher as _, PublicKey, Signable, SignedBytes, Signer as _};
use qorgan_protocol::ids::InstitutionId;
use qorgan_signing::{KeyError, Keys, Ring, SealError, SecretKey};

/// Says why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file cannot be read or written.
    #[error("cannot use the key file {path}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The key-encryption key is missing though the data folder has sealed keys.
    #[error("the key-encryption key {path} is missing; without it nothing sealed can be read")]
    NoKeyEncryptionKey {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The key-encryption key's file holds no 64 hexadecimal digits.
    #[error("{path} holds no key-encryption key (64 hexadecimal digits)")]
    BadKeyEncryptionKey {
        /// Which file.
        path: PathBuf,
    },
    /// Others may read a private file, and this process may not change that.
    #[error(
        "others of this machine may use {path}, and this process may not change that: make it the \
         server's own (`chown`) and take the others' rights away (`chmod go-rwx`)"
    )]
    OpenToOthers {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The data folder is in use.
    #[error("a server runs on the data folder, or its keys are being rotated ({path} is locked)")]
    Running {
        /// The file by which it is held.
        path: PathBuf,
    },
    /// A sealed key does not open.
    #[error("{what} does not open with this key-encryption key")]
    DoesNotOpen {
        /// Which key.
        what: String,
        /// Why.
        #[source]
        source: SealError,
    },
    /// A key is not of its form, or there is no randomness.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A certificate cannot be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
}

/// Every key that the server holds.
#[derive(Debug)]
pub struct ServerKeys {
    institution: InstitutionId,
    signing: Keys,
    seal_pkcs8: Vec<u8>,
    seal_certificate_pem: String,
    ca_pem: String,
    ca_fingerprint: String,
    kek: SecretKey,
}

impl ServerKeys {
    /// Puts the keys together; [`crate::tls`] makes and reads the certificates.
    pub fn new(
        institution: InstitutionId,
        kek: SecretKey,
        signing: Keys,
        authority: AuthorityKeys,
    ) -> Self {
        Self {
            institution,
            signing,
            seal_pkcs8: authority.seal_pkcs8,
            seal_certificate_pem: authority.seal_pem,
            ca_fingerprint: Ring.sha256(&[&authority.ca_der]).to_hex(),
            ca_pem: authority.ca_pem,
            kek,
        }
    }

    /// Returns the institution that every signature names.
    #[must_use]
    pub const fn institution(&self) -> InstitutionId {
        self.institution
    }

    /// Returns the public half of the server's signing key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.signing.public_key()
    }

    /// Returns the pair that signs for the server, for those who sign outside [`Self::sign`].
    #[must_use]
    pub const fn signing(&self) -> &Keys {
        &self.signing
    }

    /// Signs a statement for this institution.
    ///
    /// # Errors
    /// Only where the body cannot be written.
    pub fn sign<T: Signable>(&self, body: &T) -> Result<SignedBytes, crypto::StatementError> {
        Ok(crypto::sign(&self.signing, &Ring, self.institution, body)?)
    }

    /// Returns the P-256 private key that seals acts, PKCS#8 DER.
    #[must_use]
    pub fn seal_pkcs8(&self) -> &[u8] {
        &self.seal_pkcs8
    }

    /// Returns the certificate of the key that seals acts.
    #[must_use]
    pub fn seal_certificate_pem(&self) -> &str {
        &self.seal_certificate_pem
    }

    /// Returns the certificate of the built-in authority.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Returns the SHA-256 of the authority's certificate, lower-case hexadecimal.
    #[must_use]
    pub fn ca_fingerprint(&self) -> &str {
        &self.ca_fingerprint
    }

    /// Wraps a key for its `place`, such as `exam:ID`.
    ///
    /// # Errors
    /// Where the system gives no randomness.
    pub fn wrap(&self, place: &str, key: &SecretKey) -> Result<Vec<u8>, SealError> {
        self.kek.seal(place.as_bytes(), key.expose())
    }

    /// Returns the key that was wrapped for `place`.
    ///
    /// # Errors
    /// `DoesNotOpen` for another place, key-encryption key or changed bytes.
    pub fn unwrap(&self, place: &str, wrapped: &[u8]) -> Result<SecretKey, SealError> {
        let plain = self.kek.open(place.as_bytes(), wrapped)?;
        let bytes =
            <[u8; 32]>::try_from(plain.as_slice()).map_err(|_len| SealError::DoesNotOpen)?;
        Ok(SecretKey::new(bytes))
    }

    /// Seals small secrets that belong to no attempt and no exam (a photo, a second factor).
    ///
    /// # Errors
    /// Where the system gives no randomness.
    pub fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        self.kek.seal(place.as_bytes(), plain)
    }

    /// Opens what [`Self::seal`] sealed.
    ///
    /// # Errors
    /// `DoesNotOpen` for another place, key-encryption key or changed bytes.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        self.kek.open(place.as_bytes(), sealed)
    }

    /// Returns the key-encryption key, for `keys rotate` and `keys export --escrow`.
    pub const fn kek(&self) -> &SecretKey {
        &self.kek
    }
}

/// What the built-in authority made.
#[derive(Debug)]
pub struct AuthorityKeys {
    pub ca_pem: String,
    pub ca_der: Vec<u8>,
    pub seal_pem: String,
    pub seal_pkcs8: Vec<u8>,
}

/// Reads the key-encryption key; makes it where `first` says that nothing is sealed yet.
///
/// A systemd credential named `qorgan.kek` comes before the file.
pub fn key_encryption_key(path: &Path, first: bool) -> Result<SecretKey, KeysError> {
    if let Some(credential) = credential() {
        // The service manager keeps its access list.
        return read_kek(&credential);
    }
    if path.is_file() {
        close_to_others(path)?;
        return read_kek(path);
    }
    if !first {
        return Err(KeysError::NoKeyEncryptionKey {
            path: path.to_path_buf(),
        });
    }
    let bytes: [u8; 32] = qorgan_signing::random()?;
    let key = SecretKey::new(bytes);
    write_private(path, key_file_of(&key).as_bytes())?;
    Ok(key)
}

/// Returns the service manager's credential that holds the key-encryption key, if there is one.
pub fn credential() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY")
        .map(|folder| PathBuf::from(folder).join("qorgan.kek"))
        .filter(|file| file.is_file())
}

/// Takes the rights of group and others from a private file or folder, and says so in the log.
///
/// # Errors
/// `OpenToOthers` where this process may not.
pub fn close_to_others(path: &Path) -> Result<(), KeysError> {
    match crate::platform::close_to_others(path) {
        Ok(false) => Ok(()),
        Ok(true) => {
            tracing::warn!("A private file or folder was open to others of this machine; mended");
            Ok(())
        }
        Err(source) => Err(KeysError::OpenToOthers {
            path: path.to_path_buf(),
            source,
        }),
    }
}

/// Closes what a data folder holds at its top, and the folder itself, to others.
///
/// # Errors
/// `OpenToOthers` names what this process may not close, and the remedy.
pub fn close_data_folder(data: &Path) -> Result<(), KeysError> {
    close_to_others(data)?;
    for entry in fs::read_dir(data).map_err(|e| file_error(data, e))? {
        let entry = entry.map_err(|e| file_error(data, e))?;
        // Settings are no secret, and may belong to whoever keeps the machine.
        if entry.file_name() == "config.toml" || entry.path().is_symlink() {
            continue;
        }
        match close_to_others(&entry.path()) {
            // SQLite takes its journals away as it likes.
            Err(KeysError::OpenToOthers { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound => {}
            closed => closed?,
        }
    }
    Ok(())
}

/// Returns a key-encryption key as its file holds it.
pub fn key_file_of(key: &SecretKey) -> String {
    hex::encode(key.expose())
}

/// Holds the data folder for this process alone, until the file is dropped.
///
/// # Errors
/// Where a server or a rotation of keys holds it already.
pub fn hold(data: &Path) -> Result<fs::File, KeysError> {
    let path = data.join(RUNNING_LOCK);
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    crate::platform::owner_only(&mut options);
    let file = options
        .open(&path)
        .map_err(|source| file_error(&path, source))?;
    file.try_lock().map_err(|error| match error {
        fs::TryLockError::WouldBlock => KeysError::Running { path: path.clone() },
        fs::TryLockError::Error(source) => file_error(&path, source),
    })?;
    Ok(file)
}

/// Reads a key-encryption key's file.
pub fn read_kek(path: &Path) -> Result<SecretKey, KeysError> {
    let text = fs::read_to_string(path).map_err(|source| file_error(path, source))?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_bad| {
        KeysError::BadKeyEncryptionKey {
            path: path.to_path_buf(),
        }
    })?;
    Ok(SecretKey::new(bytes))
}

/// Writes a file that only its owner may read; one that is there and is open to others is closed to
/// them before a byte is written.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), KeysError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    crate::platform::owner_only(&mut options);
    let mut file = options.open(path).map_err(|e| file_error(path, e))?;
    close_to_others(path)?;
    file.write_all(bytes).map_err(|e| file_error(path, e))?;
    file.sync_all().map_err(|e| file_error(path, e))
}

/// Seals a private key's file under the key-encryption key.
pub fn write_sealed(path: &Path, kek: &SecretKey, plain: &[u8]) -> Result<(), KeysError> {
    let sealed = kek
        .seal(&place_of(path), plain)
        .map_err(|source| does_not_open(path, source))?;
    write_private(path, &sealed)
}

/// Opens a private key's file.
pub fn read_sealed(path: &Path, kek: &SecretKey) -> Result<Vec<u8>, KeysError> {
    let sealed = fs::read(path).map_err(|source| file_error(path, source))?;
    kek.open(&place_of(path), &sealed)
        .map_err(|source| does_not_open(path, source))
}

pub fn file_error(path: &Path, source: std::io::Error) -> KeysError {
    KeysError::File {
        path: path.to_path_buf(),
        source,
    }
}

fn does_not_open(path: &Path, source: SealError) -> KeysError {
    KeysError::DoesNotOpen {
        what: path.display().to_string(),
        source,
    }
}

/// Returns the place that a private key's file is sealed for.
pub fn place_of(path: &Path) -> Vec<u8> {
    let name = path.file_name().unwrap_or_default();
    format!("file:{}", name.to_string_lossy()).into_bytes()
}

/// Whoever holds this file of a data folder is the only one that serves it or turns its keys.
pub const RUNNING_LOCK: &str = "running.lock";
