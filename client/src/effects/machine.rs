//! The machine: the device's lasting key, the run of its kernel, what the system check looks at.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use qorgan_client_core::event::MachineFacts;
use qorgan_protocol::ids::BootId;
use qorgan_signing::{KeyError, Keys};

/// The device, as it proves itself at sign-in.
#[derive(Debug)]
pub struct Device {
    /// Its lasting key.
    pub keys: Keys,
    /// The run of the kernel.
    pub boot: BootId,
    /// Made anew at each start of the client.
    pub instance: [u8; 16],
}

/// Why the client cannot start.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The system gives no threads.
    #[error("the system gives no threads")]
    Threads(#[source] io::Error),
    /// The device's key cannot be read or written.
    #[error("the device's key in {path} cannot be kept")]
    Key {
        /// Its file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The key's file is damaged, or no key can be made.
    #[error("the device's key is unusable")]
    Unusable(#[from] KeyError),
}

impl Device {
    /// Reads the device's key from the data folder, or makes it.
    ///
    /// # Errors
    /// Where it cannot be read, made or kept.
    pub fn open(data: &Path) -> Result<Self, DeviceError> {
        let path = data.join("device.pk8");
        let failed = |source| DeviceError::Key {
            path: path.clone(),
            source,
        };
        super::socket::own_folder(data).map_err(failed)?;
        let keys = match fs::read(&path) {
            Ok(pkcs8) => Keys::from_pkcs8(&pkcs8)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (keys, pkcs8) = Keys::generate()?;
                qorgan_files::replace(&path, &pkcs8).map_err(failed)?;
                keys
            }
            Err(source) => return Err(failed(source)),
        };
        Ok(Self {
            keys,
            boot: boot_id()?,
            instance: qorgan_signing::random()?,
        })
    }
}

/// Where the kernel gives no name to its run, each start of the client counts as one.
fn boot_id() -> Result<BootId, KeyError> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| c.to_digit(16))
        .filter_map(|d| u8::try_from(d).ok())
        .collect();
    let mut id = [0; 16];
    if digits.len() != 32 {
        return qorgan_signing::random().map(BootId);
    }
    for (byte, pair) in id.iter_mut().zip(digits.chunks(2)) {
        *byte = pair.iter().fold(0, |byte, digit| (byte << 4) | digit);
    }
    Ok(BootId(id))
}

/// Looks at the machine.
pub(super) fn look(folder: &Path) -> MachineFacts {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    MachineFacts {
        disk_free_bytes: super::socket::free_bytes(folder),
        proxy: set("HTTPS_PROXY")
            .or_else(|| set("https_proxy"))
            .map(|proxy| host_of(&proxy)),
        x11: set("DISPLAY").is_some() && set("WAYLAND_DISPLAY").is_none(),
        remote_session: set("SSH_CONNECTION").is_some() || set("XRDP_SESSION").is_some(),
        virtual_machine: virtual_machine(),
        nested_display: qorgan_seat::platform::nested_words(),
    }
}

/// A proxy's address may hold a password; only its host is told.
fn host_of(proxy: &str) -> String {
    let rest = proxy.rsplit('@').next().unwrap_or_default();
    let rest = rest.split_once("://").map_or(rest, |(_, rest)| rest);
    rest.trim_end_matches('/').to_owned()
}

fn virtual_machine() -> Option<String> {
    let read =
        |name: &str| fs::read_to_string(format!("/sys/class/dmi/id/{name}")).unwrap_or_default();
    let told = format!(
        "{} {}",
        read("sys_vendor").trim(),
        read("product_name").trim()
    );
    let makers = [
        "QEMU",
        "VirtualBox",
        "VMware",
        "KVM",
        "Xen",
        "Virtual Machine",
        "Parallels",
        "Bochs",
    ];
    makers
        .iter()
        .any(|maker| told.contains(maker))
        .then(|| told.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use qorgan_protocol::crypto::Signer as _;

    use super::*;

    #[test]
    fn the_device_keeps_its_key_over_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Device::open(folder.path())
            .expect("makes it")
            .keys
            .public_key();
        let second = Device::open(folder.path())
            .expect("reads it")
            .keys
            .public_key();
        assert_eq!(first, second);
    }

    #[test]
    fn the_password_of_a_proxy_is_not_told() {
        assert_eq!(
            host_of("http://anna:secret@proxy.kz:3128/"),
            "proxy.kz:3128"
        );
    }
}
