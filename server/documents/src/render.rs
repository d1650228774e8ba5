//! Sets an act and writes it as PDF/A-3a and PDF/UA-1.

use typst::World;
use typst::diag::{SourceDiagnostic, Warned};
use typst::foundations::{Bytes, Datetime, Smart};
use typst_layout::PagedDocument;
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards, Timestamp};

use crate::act::ActData;
use crate::error::{DocumentError, OTHER_LINES_MAX, STILLS_MAX};
use crate::form1::{Sheet, still_path};
use crate::moment::Moment;
use crate::qr;
use crate::settings::ActSettings;
use crate::world::{ActWorld, Foundry};

/// Turns acts into PDF; made once, for it reads the fonts and keeps the typesetter warm.
#[derive(Debug)]
pub struct ActRenderer {
    settings: ActSettings,
    foundry: Foundry,
}

impl ActRenderer {
    /// Reads the embedded fonts and keeps `settings` for every act.
    #[must_use]
    pub fn new(settings: ActSettings) -> Self {
        Self {
            settings,
            foundry: Foundry::new(),
        }
    }

    //= tests/data/sop-2-28.md#17-act
    /// Sets `act` as Form 1 and returns the PDF; equal input gives equal bytes.
    ///
    /// # Errors
    /// Returns [`DocumentError`] when the act is beyond its bounds, a still cannot be decoded,
    /// or the result would not conform.
    pub fn render(&self, act: &ActData) -> Result<Vec<u8>, DocumentError> {
        within_bounds(act)?;
        let world = self.world_of(act)?;
        let pdf = write(&world, act);
        typst::comemo::evict(WARM_ACTS);
        pdf
    }

    /// Builds what the typesetter may see of `act`.
    fn world_of(&self, act: &ActData) -> Result<ActWorld<'_>, DocumentError> {
        let code = qr::draw(&act.verification.url).map_err(DocumentError::Code)?;
        let sheet = Sheet::new(&self.foundry, &self.settings, act, code.side);
        let values = serde_json::to_vec(&sheet).map_err(DocumentError::Values)?;
        let mut world = ActWorld::new(&self.foundry);
        world.put("/act.json", Bytes::new(values));
        world.put("/code", Bytes::new(code.luma));
        if let Some(logo) = &self.settings.logo {
            world.put("/logo", Bytes::new(logo.bytes()));
        }
        for (index, evidence) in act.evidence.iter().enumerate() {
            world.put(&still_path(index), Bytes::new(evidence.still.bytes()));
        }
        Ok(world)
    }
}

fn within_bounds(act: &ActData) -> Result<(), DocumentError> {
    let stills = act.evidence.len();
    if stills > STILLS_MAX {
        return Err(DocumentError::TooManyStills { stills });
    }
    let lines = act.other.len();
    if lines > OTHER_LINES_MAX {
        return Err(DocumentError::TooManyLines { lines });
    }
    Ok(())
}

/// Sets the world's form and writes the PDF with both standards' checks on.
fn write(world: &dyn World, act: &ActData) -> Result<Vec<u8>, DocumentError> {
    let options = options(act)?;
    let Warned { output, .. } = typst::compile::<PagedDocument>(world);
    let document = output.map_err(|errors| DocumentError::Form {
        message: messages(&errors),
    })?;
    typst_pdf::pdf(&document, &options).map_err(|errors| DocumentError::Conformance {
        message: messages(&errors),
    })
}

fn options(act: &ActData) -> Result<PdfOptions, DocumentError> {
    let standards =
        PdfStandards::new(&[PdfStandard::A_3a, PdfStandard::Ua_1]).map_err(|error| {
            DocumentError::Standards {
                message: error.message().to_string(),
            }
        })?;
    let identity: String = act
        .verification
        .act_hash
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(PdfOptions {
        ident: Smart::Custom(format!("qorgan act {identity} {}", act.language.code())),
        creator: Smart::Custom(Some("Qorgan".to_owned())),
        timestamp: Some(timestamp(act.seen_at).ok_or(DocumentError::Moment)?),
        page_ranges: None,
        standards,
        tagged: true,
        pretty: false,
    })
}

fn timestamp(moment: Moment) -> Option<Timestamp> {
    let local = moment.local();
    let part = |value: i8| u8::try_from(value).ok();
    let datetime = Datetime::from_ymd_hms(
        i32::from(local.year()),
        part(local.month())?,
        part(local.day())?,
        part(local.hour())?,
        part(local.minute())?,
        part(local.second())?,
    )?;
    Timestamp::new_local(datetime, i32::from(moment.offset_minutes()))
}

fn messages(errors: &[SourceDiagnostic]) -> String {
    errors
        .iter()
        .map(|error| error.message.as_str())
        .collect::<Vec<_>>()
        .join("; ")
}

/// For how many acts the typesetter keeps results that no act has used again.
const WARM_ACTS: usize = 8;
