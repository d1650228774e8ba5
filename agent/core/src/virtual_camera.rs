//! Tells cameras that are no cameras by what the system says of them.

/// Returns why a camera is taken for a virtual one.
///
/// `driver` is the kernel driver, `bus` the bus address as V4L2 gives it, `label` the name shown to
/// people; any may be empty where the system does not say.
#[must_use]
pub fn virtual_camera_reason(label: &str, driver: &str, bus: &str) -> Option<String> {
    let (label_low, driver_low) = (label.to_lowercase(), driver.to_lowercase());
    if let Some(word) = DRIVERS.iter().find(|word| driver_low.contains(*word)) {
        return Some(format!("driver {word}: {label}"));
    }
    if let Some(word) = LABELS.iter().find(|word| label_low.contains(*word)) {
        return Some(format!("name says {word}: {label}"));
    }
    VIRTUAL_BUSES
        .iter()
        .any(|prefix| bus.starts_with(prefix))
        .then(|| format!("bus {bus}: {label}"))
}

const DRIVERS: [&str; 4] = ["v4l2 loopback", "v4l2loopback", "vivid", "akvcam"];
const LABELS: [&str; 14] = [
    "obs virtual",
    "obs-camera",
    "virtual cam",
    "virtualcam",
    "dummy video device",
    "v4l2loopback",
    "vivid",
    "manycam",
    "snap camera",
    "droidcam",
    "iriun",
    "epoccam",
    "xsplit",
    "splitcam",
];
/// `platform:` is where vivid and v4l2loopback live; built-in cameras of phones and boards that sit
/// there too name a real driver, so a person decides.
const VIRTUAL_BUSES: [&str; 2] = ["platform:v4l2loopback", "platform:vivid"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_cameras_are_named_and_real_ones_are_not() {
        let virtuals = [
            (
                "OBS Virtual Camera",
                "v4l2 loopback",
                "platform:v4l2loopback-000",
            ),
            ("vivid", "vivid", "platform:vivid-000"),
            ("Dummy video device (0x0000)", "", ""),
            ("ManyCam Virtual Webcam", "", ""),
        ];
        for (label, driver, bus) in virtuals {
            assert!(
                virtual_camera_reason(label, driver, bus).is_some(),
                "{label}"
            );
        }
        let real = [
            (
                "Integrated Camera: Integrated C",
                "uvcvideo",
                "usb-0000:00:14.0-8",
            ),
            ("HD Pro Webcam C920", "uvcvideo", "usb-0000:02:00.0-1"),
        ];
        for (label, driver, bus) in real {
            assert_eq!(virtual_camera_reason(label, driver, bus), None);
        }
    }
}
