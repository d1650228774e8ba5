//! What statements are given and give back: five kinds of value that both databases hold.

use qorgan_protocol::ids::{
    ActId, AttemptId, Epoch, ExamId, IncidentId, InstitutionId, ItemId, MessageId, PersonId,
    PictureId, SittingId, TestId,
};
use qorgan_protocol::time::WallTime;

/// What a value is, also where it is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 64 bits with a sign.
    Integer,
    /// A double.
    Real,
    /// UTF-8 text.
    Text,
    /// Bytes.
    Blob,
}

/// One value of a row or of a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, where a value of this kind could be.
    Null(Kind),
    /// A whole number.
    Integer(i64),
    /// A number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// Says that a value is not what its reader takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found {found}, not {wanted}")]
pub struct Mismatch {
    /// What is there.
    pub found: &'static str,
    /// What was to be there.
    pub wanted: &'static str,
}

impl Value {
    pub(crate) fn holds_nul(&self) -> bool {
        matches!(self, Self::Text(text) if text.contains('\0'))
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::Null(_) => "nothing",
            Self::Integer(_) => "a whole number",
            Self::Real(_) => "a number",
            Self::Text(_) => "a text",
            Self::Blob(_) => "bytes",
        }
    }

    const fn is_not(&self, wanted: &'static str) -> Mismatch {
        Mismatch {
            found: self.word(),
            wanted,
        }
    }
}

/// What can be bound to a statement.
pub trait ToValue {
    /// Its kind, for where it is missing.
    const KIND: Kind;

    /// Returns the value that is stored.
    fn to_value(&self) -> Value;
}

/// What a column can be read as.
pub trait FromValue: Sized {
    /// Reads a stored value.
    ///
    /// # Errors
    /// The value is of another kind, missing, or out of range.
    fn from_value(value: Value) -> Result<Self, Mismatch>;
}

impl ToValue for Value {
    /// A value tells its own kind; this one stands for what cannot be asked.
    const KIND: Kind = Kind::Text;

    fn to_value(&self) -> Value {
        self.clone()
    }
}

impl FromValue for Value {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        Ok(value)
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    const KIND: Kind = T::KIND;

    fn to_value(&self) -> Value {
        T::to_value(self)
    }
}

impl<T: ToValue> ToValue for Option<T> {
    const KIND: Kind = T::KIND;

    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null(T::KIND), T::to_value)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        if let Value::Null(_) = value {
            Ok(None)
        } else {
            T::from_value(value).map(Some)
        }
    }
}

macro_rules! integers {
    ($($number:ty),*) => {$(
        impl ToValue for $number {
            const KIND: Kind = Kind::Integer;

            fn to_value(&self) -> Value {
                Value::Integer(i64::from(*self))
            }
        }

        impl FromValue for $number {
            fn from_value(value: Value) -> Result<Self, Mismatch> {
                match value {
                    Value::Integer(number) => Self::try_from(number).map_err(|_out_of_range| {
                        Mismatch {
                            found: "a whole number out of range",
                            wanted: stringify!($number),
                        }
                    }),
                    other => Err(other.is_not("a whole number")),
                }
            }
        }
    )*};
}

integers!(u8, u16, u32, i8, i16, i32, i64);

impl ToValue for bool {
    const KIND: Kind = Kind::Integer;

    fn to_value(&self) -> Value {
        Value::Integer(i64::from(*self))
    }
}

impl FromValue for bool {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        if let Value::Integer(number) = value {
            Ok(number != 0)
        } else {
            Err(value.is_not("0 or 1"))
        }
    }
}

impl ToValue for f64 {
    const KIND: Kind = Kind::Real;

    fn to_value(&self) -> Value {
        Value::Real(*self)
    }
}

impl FromValue for f64 {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        if let Value::Real(number) = value {
            Ok(number)
        } else {
            Err(value.is_not("a number"))
        }
    }
}

impl ToValue for str {
    const KIND: Kind = Kind::Text;

    fn to_value(&self) -> Value {
        Value::Text(self.to_owned())
    }
}

impl ToValue for String {
    const KIND: Kind = Kind::Text;

    fn to_value(&self) -> Value {
        Value::Text(self.clone())
    }
}

impl FromValue for String {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        if let Value::Text(text) = value {
            Ok(text)
        } else {
            Err(value.is_not("a text"))
        }
    }
}

impl ToValue for [u8] {
    const KIND: Kind = Kind::Blob;

    fn to_value(&self) -> Value {
        Value::Blob(self.to_vec())
    }
}

impl<const N: usize> ToValue for [u8; N] {
    const KIND: Kind = Kind::Blob;

    fn to_value(&self) -> Value {
        Value::Blob(self.to_vec())
    }
}

impl ToValue for Vec<u8> {
    const KIND: Kind = Kind::Blob;

    fn to_value(&self) -> Value {
        Value::Blob(self.clone())
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        if let Value::Blob(bytes) = value {
            Ok(bytes)
        } else {
            Err(value.is_not("bytes"))
        }
    }
}

macro_rules! ids {
    ($($id:ty),*) => {$(
        impl ToValue for $id {
            const KIND: Kind = Kind::Text;

            fn to_value(&self) -> Value {
                Value::Text(self.to_string())
            }
        }

        impl FromValue for $id {
            fn from_value(value: Value) -> Result<Self, Mismatch> {
                match value {
                    Value::Text(text) => text.parse().map_err(|_bad| Mismatch {
                        found: "a text",
                        wanted: "an identifier",
                    }),
                    other => Err(other.is_not("an identifier")),
                }
            }
        }
    )*};
}

ids!(
    ActId,
    AttemptId,
    ExamId,
    IncidentId,
    InstitutionId,
    ItemId,
    MessageId,
    PersonId,
    PictureId,
    SittingId,
    TestId
);

impl ToValue for WallTime {
    const KIND: Kind = Kind::Integer;

    fn to_value(&self) -> Value {
        Value::Integer(self.unix_ms())
    }
}

impl FromValue for WallTime {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        i64::from_value(value).map(Self::from_unix_ms)
    }
}

impl ToValue for Epoch {
    const KIND: Kind = Kind::Integer;

    fn to_value(&self) -> Value {
        Value::Integer(i64::from(self.0))
    }
}

impl FromValue for Epoch {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        u32::from_value(value).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back<T: ToValue + FromValue + PartialEq + std::fmt::Debug>(value: T) {
        assert_eq!(T::from_value(value.to_value()), Ok(value));
    }

    #[test]
    fn what_is_bound_is_read_back() {
        back(7_u16);
        back(i64::MIN);
        back(true);
        back(0.25_f64);
        back("Әсет".to_owned());
        back(vec![0_u8, 255]);
        back(WallTime::from_unix_ms(-1));
        back(Epoch(3));
        back(AttemptId::new(WallTime::from_unix_ms(5), [9; 10]));
        back(None::<i64>);
        back(Some("x".to_owned()));
    }

    #[test]
    fn what_does_not_fit_is_told_in_words() {
        let told = |result: Result<u16, Mismatch>| result.map_err(|error| error.to_string());

        assert_eq!(
            told(u16::from_value(Value::Integer(70_000))),
            Err("found a whole number out of range, not u16".to_owned())
        );
        assert_eq!(
            told(u16::from_value(Value::Null(Kind::Integer))),
            Err("found nothing, not a whole number".to_owned())
        );
    }
}
