//! Attaching: a body of any length, one piece in memory at a time.

use node::Command;

use super::write::draft_place;
use crate::access::{Desk, Drafted};
use crate::problem::Problem;
use crate::rest::input::{Query, Upload};
use crate::rest::reply::Made;
use crate::view::draft::{AttachmentLabel, AttachmentMade};

pub(crate) async fn attach(mut desk: Desk<Drafted>, (Query(label), mut upload): (Query<AttachmentLabel>, Upload)) -> Result<Made<AttachmentMade>, Problem> {
    let Drafted(row) = desk.subject();
    let (number, version) = (row.number.clone(), row.version);
    let (mut size, mut index) = (0, 0);
    while let Some(bytes) = upload.piece().await? {
        size += bytes.len() as u64;
        desk.execute(Command::AttachPiece { number: number.clone(), version, index, bytes, placed: None }).await?;
        index += 1;
    }
    let AttachmentLabel { name, media_type } = label;
    let place = draft_place(desk.execute(Command::AttachEnd { number, version, name, media_type, size }).await?)?;
    Ok(Made(AttachmentMade { number: place.number, version: place.version, size }))
}
