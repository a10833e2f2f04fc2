//! The preview: who will get this, and why not the others.

use std::sync::Arc;

use node::act::release::{self, Weighing, header_of};

use crate::access::{Desk, Held};
use crate::problem::Problem;
use crate::rest::reply::View;
use crate::view::decision::Preview;

pub(crate) async fn preview(desk: Desk<Held>, (): ()) -> Result<View<Preview>, Problem> {
    let row = desk.subject().0.clone();
    let audience = header_of(&row)?.audience.into_iter().collect();
    let (me, directory, house, now) = (Arc::clone(desk.identity()), desk.directory(), desk.house_rules(), desk.now());
    let decisions = desk.read(move |reader| {
        let weighing = Weighing { directory: &directory, me: me.org(), house: house.as_ref(), now };
        release::preview(reader, &me, &weighing, &row)
    });
    Ok(View(Preview::of(decisions.await?, &audience, desk.language())))
}
