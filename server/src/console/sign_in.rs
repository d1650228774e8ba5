//! Sign-in with password and code, the first password, the second factor, the language.

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use qorgan_documents::{QrPath, qr_path};
use qorgan_protocol::wire::ProblemCode;
use serde::Deserialize;

use super::error::{Answer, ConsoleError};
use super::page::{LANGUAGE_COOKIE, Page, Visitor, show};
use super::posted::PostedEarly;
use super::texts::Language;
use crate::auth::{AuthError, PeerAddress, StaffSession, clear_cookie, cookie};
use crate::state::AppState;

#[derive(Debug, Template)]
#[template(path = "console/sign_in.html")]
struct SignInPage {
    page: Page,
    problem: Option<String>,
    back: String,
    login: String,
}

/// Where a sign-in leads back to.
#[derive(Debug, Deserialize)]
pub(super) struct Back {
    #[serde(default)]
    back: String,
}

/// What somebody typed to sign in.
#[derive(Deserialize)]
pub(super) struct Typed {
    login: String,
    password: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    back: String,
}

/// `GET /console/sign-in`; leads on who has signed in but not finished.
pub(super) async fn form(
    visitor: Visitor,
    State(state): State<AppState>,
    Query(query): Query<Back>,
    session: Result<StaffSession, crate::auth::AuthRejection>,
) -> Answer {
    if let Ok(session) = session {
        return Ok(Redirect::to(next_page(&session)).into_response());
    }
    sign_in_page(&state, &visitor, None, own_path(&query.back), "")
}

/// `POST /console/sign-in`.
pub(super) async fn sign_in(
    visitor: Visitor,
    State(state): State<AppState>,
    PeerAddress(address): PeerAddress,
    Form(typed): Form<Typed>,
) -> Answer {
    let code = Some(typed.code.trim()).filter(|code| !code.is_empty());
    let login = typed.login.trim();
    match state
        .auth
        .sign_in_staff(login, &typed.password, code, address)
        .await
    {
        Ok(done) => {
            let to = if done.must_change {
                "/console/password"
            } else if done.needs_totp {
                "/console/totp"
            } else {
                own_path(&typed.back)
            };
            let mut response = Redirect::to(to).into_response();
            response
                .headers_mut()
                .append(SET_COOKIE, cookie(&done.token)?);
            Ok(response)
        }
        Err(
            error @ (AuthError::WrongPassword | AuthError::Forbidden | AuthError::TooMany { .. }),
        ) => {
            let code = error.problem().code;
            let key = if code == ProblemCode::WrongPassword {
                "password-wrong".to_owned()
            } else {
                format!("remedy-{}", code.word())
            };
            let problem = Some(visitor.language().text(&key));
            let mut response =
                sign_in_page(&state, &visitor, problem, own_path(&typed.back), login)?;
            *response.status_mut() =
                StatusCode::from_u16(code.status()).unwrap_or(StatusCode::UNAUTHORIZED);
            Ok(response)
        }
        Err(error) => Err(error.into()),
    }
}

fn sign_in_page(
    state: &AppState,
    visitor: &Visitor,
    problem: Option<String>,
    back: &str,
    login: &str,
) -> Answer {
    show(&SignInPage {
        page: Page::new(state, visitor, None),
        problem,
        back: back.to_owned(),
        login: login.to_owned(),
    })
}

/// `POST /console/sign-out`.
pub(super) async fn sign_out(State(state): State<AppState>, posted: PostedEarly) -> Answer {
    state.auth.sign_out(&posted.session.token).await?;
    let mut response = Redirect::to("/console/sign-in").into_response();
    response.headers_mut().append(SET_COOKIE, clear_cookie());
    Ok(response)
}

#[derive(Debug, Template)]
#[template(path = "console/password.html")]
struct PasswordPage {
    page: Page,
    problem: Option<String>,
}

/// `GET /console/password`.
pub(super) async fn password_form(
    visitor: Visitor,
    State(state): State<AppState>,
    session: StaffSession,
) -> Answer {
    show(&PasswordPage {
        page: Page::new(&state, &visitor, Some(&session)),
        problem: None,
    })
}

/// `POST /console/password`: the old one is asked for again, so that an open browser is not enough.
pub(super) async fn password(
    visitor: Visitor,
    State(state): State<AppState>,
    PeerAddress(address): PeerAddress,
    posted: PostedEarly,
) -> Answer {
    let PostedEarly { session, fields } = posted;
    let (old, new) = (fields.raw("old"), fields.raw("new"));
    let wrong = if new != fields.raw("again") {
        Some("password-differs")
    } else if !state
        .auth
        .password_holds(&session.login, old, address)
        .await?
    {
        Some("password-wrong")
    } else {
        match state.auth.set_password(session.person, new, false).await {
            Ok(()) => None,
            Err(AuthError::BadPassword) => Some("password-short"),
            Err(error) => return Err(error.into()),
        }
    };
    match wrong {
        None => Ok(Redirect::to("/console/sign-in").into_response()),
        Some(key) => {
            let page = Page::new(&state, &visitor, Some(&session));
            let problem = Some(page.t(key));
            show(&PasswordPage { page, problem })
        }
    }
}

#[derive(Debug, Template)]
#[template(path = "console/totp.html")]
struct TotpPage {
    page: Page,
    problem: Option<String>,
    secret: String,
    uri: String,
    code: QrPath,
}

/// `GET /console/totp`.
pub(super) async fn totp_form(
    visitor: Visitor,
    State(state): State<AppState>,
    session: StaffSession,
) -> Answer {
    totp_page(&state, &visitor, &session, None).await
}

/// `POST /console/totp`.
pub(super) async fn totp(
    visitor: Visitor,
    State(state): State<AppState>,
    posted: PostedEarly,
) -> Answer {
    let PostedEarly { session, fields } = posted;
    match state
        .auth
        .totp_confirm(session.person, fields.get("code"))
        .await
    {
        Ok(()) => Ok(Redirect::to("/console/").into_response()),
        Err(AuthError::WrongPassword) => {
            totp_page(&state, &visitor, &session, Some("totp-wrong")).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn totp_page(
    state: &AppState,
    visitor: &Visitor,
    session: &StaffSession,
    problem: Option<&str>,
) -> Answer {
    let setup = state
        .auth
        .totp_begin(session.person, &session.login)
        .await?;
    let page = Page::new(state, visitor, Some(session));
    show(&TotpPage {
        problem: problem.map(|key| page.t(key)),
        // Four letters at a time are easier to type.
        secret: grouped(&setup.secret),
        code: qr_path(&setup.uri).map_err(|_long| ConsoleError::Unready)?,
        uri: setup.uri,
        page,
    })
}

fn grouped(secret: &str) -> String {
    let letters: Vec<char> = secret.chars().collect();
    let groups: Vec<String> = letters
        .chunks(4)
        .map(|four| four.iter().collect())
        .collect();
    groups.join(" ")
}

/// `GET /console/language/{code}`.
pub(super) async fn language(Path(code): Path<String>, Query(query): Query<Back>) -> Answer {
    let chosen = Language::from_code(&code)
        .ok_or(ConsoleError::Refused(ProblemCode::NotFound))?
        .code();
    let text = format!(
        "{LANGUAGE_COOKIE}={chosen}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=31536000"
    );
    let value = HeaderValue::from_str(&text)
        .map_err(|_bad| ConsoleError::Refused(ProblemCode::BadRequest))?;
    let mut response: Response = Redirect::to(own_path(&query.back)).into_response();
    response.headers_mut().append(SET_COOKIE, value);
    Ok(response)
}

fn next_page(session: &StaffSession) -> &'static str {
    if session.must_change {
        "/console/password"
    } else if session.needs_totp {
        "/console/totp"
    } else {
        "/console/"
    }
}

/// Returns a path of ours, never another site's.
fn own_path(path: &str) -> &str {
    let ours = path.starts_with("/console/") || path.starts_with("/verify/");
    if ours && !path.starts_with("/console/sign-in") && !path.contains(['\\', '\r', '\n']) {
        path
    } else {
        "/console/"
    }
}

#[cfg(test)]
mod tests {
    use super::own_path;

    #[test]
    fn nobody_is_led_to_another_site() {
        for bad in [
            "//evil.example",
            "https://evil.example",
            "/\\evil",
            "",
            "/console/sign-in",
        ] {
            assert_eq!(own_path(bad), "/console/", "{bad}");
        }
        assert_eq!(own_path("/console/wall?sitting="), "/console/wall?sitting=");
    }
}
