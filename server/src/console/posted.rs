//! Forms and files that a signed-in person sends; the form's token is checked before a handler runs.

use std::collections::BTreeMap;

use axum::Form;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts as _, Multipart, Request};
use axum::response::{IntoResponse as _, Response};
use qorgan_protocol::wire::ProblemCode;

use super::error::ConsoleError;
use crate::auth::{AuthRejection, Role, Staff, StaffSession};
use crate::state::AppState;

/// A form's fields.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// Returns a field, trimmed; empty where it is not there.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |value| value.trim())
    }

    /// Makes fields by hand.
    #[cfg(test)]
    pub(super) fn of(pairs: Vec<(String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// Returns a field as it was typed.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// A form sent by somebody with a role that `R` admits.
#[derive(Debug)]
pub(super) struct Posted<R: Role> {
    /// Who sent it.
    pub(super) staff: Staff<R>,
    /// What was typed.
    pub(super) fields: Fields,
}

impl<R: Role> FromRequest<AppState> for Posted<R> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let staff = Staff::<R>::from_request_parts(&mut parts, state)
            .await
            .map_err(AuthRejection::into_response)?;
        let request = Request::from_parts(parts, body);
        let fields = fields(request, state).await?;
        check(&staff.session, &fields).map_err(axum::response::IntoResponse::into_response)?;
        Ok(Self { staff, fields })
    }
}

/// A form sent by somebody who may still have a password to change.
#[derive(Debug)]
pub(super) struct PostedEarly {
    /// Who sent it.
    pub(super) session: StaffSession,
    /// What was typed.
    pub(super) fields: Fields,
}

impl FromRequest<AppState> for PostedEarly {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let session = StaffSession::from_request_parts(&mut parts, state)
            .await
            .map_err(AuthRejection::into_response)?;
        let fields = fields(Request::from_parts(parts, body), state).await?;
        check(&session, &fields).map_err(axum::response::IntoResponse::into_response)?;
        Ok(Self { session, fields })
    }
}

/// A file sent by somebody with a role that `R` admits.
#[derive(Debug)]
pub(super) struct Uploaded<R: Role> {
    /// Who sent it.
    pub(super) staff: Staff<R>,
    /// What was typed beside it.
    pub(super) fields: Fields,
    /// The file's name.
    pub(super) name: String,
    /// The file.
    pub(super) bytes: Bytes,
}

impl<R: Role> FromRequest<AppState> for Uploaded<R> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let staff = Staff::<R>::from_request_parts(&mut parts, state)
            .await
            .map_err(AuthRejection::into_response)?;
        let mut form = Multipart::from_request(Request::from_parts(parts, body), state)
            .await
            .map_err(|_unreadable| refused(ProblemCode::BadRequest))?;
        let mut fields = Fields::default();
        let (mut name, mut bytes) = (String::new(), Bytes::new());
        while let Some(field) = form
            .next_field()
            .await
            .map_err(|_cut| refused(ProblemCode::TooLarge))?
        {
            let key = field.name().unwrap_or_default().to_owned();
            if key == "file" {
                name = field.file_name().unwrap_or_default().to_owned();
                bytes = field
                    .bytes()
                    .await
                    .map_err(|_large| refused(ProblemCode::TooLarge))?;
            } else {
                let value = field
                    .text()
                    .await
                    .map_err(|_bad| refused(ProblemCode::BadRequest))?;
                if value.contains('\0') {
                    return Err(refused(ProblemCode::BadRequest));
                }
                fields.0.insert(key, value);
            }
        }
        check(&staff.session, &fields).map_err(axum::response::IntoResponse::into_response)?;
        Ok(Self {
            staff,
            fields,
            name,
            bytes,
        })
    }
}

async fn fields(request: Request, state: &AppState) -> Result<Fields, Response> {
    let Form(pairs) = Form::<Vec<(String, String)>>::from_request(request, state)
        .await
        .map_err(|_bad| refused(ProblemCode::BadRequest))?;
    if pairs.iter().any(|(_, value)| value.contains('\0')) {
        return Err(refused(ProblemCode::BadRequest));
    }
    Ok(Fields(pairs.into_iter().collect()))
}

fn check(session: &StaffSession, fields: &Fields) -> Result<(), ConsoleError> {
    if session.csrf_matches(fields.get("csrf")) {
        Ok(())
    } else {
        Err(ConsoleError::Refused(ProblemCode::Forbidden))
    }
}

fn refused(code: ProblemCode) -> Response {
    ConsoleError::Refused(code).into_response()
}
