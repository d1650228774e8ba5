//! The parts that speak to C libraries; `unsafe` stands only here.

pub(crate) mod openh264;
