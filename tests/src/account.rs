//! Who signs in.

/// A login with its password.
#[derive(Debug, Clone)]
pub struct Account {
    /// The login.
    pub login: String,
    /// The password.
    pub password: String,
}
