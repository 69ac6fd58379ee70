//! Parcels and what became of them. All of it follows from the ledger file.

use std::collections::BTreeSet;

use sagaline_participant::{Effect, HandlerError, payload};
use sagaline_service::{Act, Acted, Book, Standing, Undo, Words};
use serde::{Deserialize, Serialize};

use crate::Arguments;

payload! {
    /// Where a parcel goes.
    pub struct Address {
        /// Street and number.
        pub street: String,
        /// Country.
        pub country: String,
    }

    /// A parcel to be sent.
    pub struct Dispatch {
        /// The order that it belongs to.
        pub order: String,
        /// Where it goes.
        pub address: Address,
        /// What is to go wrong, for demonstrations: `dispatch=refuse`.
        pub simulate: Option<String>,
    }

    /// A parcel that was sent.
    pub struct Dispatched {
        /// Its tracking number.
        pub tracking: String,
    }

    /// What became of a parcel.
    pub struct ParcelStatus {
        /// Its tracking number, where there is one.
        pub tracking: Option<String>,
        /// It is on its way: sent and not called back.
        pub under_way: bool,
    }
}

/// What a line of the ledger says of a parcel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    pub order: String,
    pub address: Address,
    pub tracking: String,
}

impl Parcel {
    /// Of this dispatch.
    pub fn new(effect: &Effect, dispatch: &Dispatch) -> Self {
        let tracking = format!("trk-{}", effect.id().to_string().replace('-', ""));
        Self { order: dispatch.order.clone(), address: dispatch.address.clone(), tracking }
    }
}

impl ParcelStatus {
    /// As the ledger has it.
    pub fn of(standing: Standing<Parcel>) -> Self {
        Self { under_way: standing.done > standing.undone, tracking: standing.details.map(|parcel| parcel.tracking) }
    }
}

/// What the ledger calls a dispatch and a cancellation.
pub const WORDS: Words = Words { done: "dispatched", undone: "cancelled" };

/// Where no parcel is sent.
pub struct Undeliverable(BTreeSet<String>);

impl Undeliverable {
    /// As the command line says.
    pub fn read(arguments: &Arguments) -> Self {
        Self(arguments.undeliverable.iter().cloned().collect())
    }

    /// Refuses what goes there.
    pub fn check(&self, dispatch: &Dispatch) -> Result<(), HandlerError> {
        let country = &dispatch.address.country;
        if self.0.contains(country) {
            return Err(HandlerError::refused("UndeliverableAddress", format!("no parcel is sent to {country}")));
        }
        Ok(())
    }
}

/// All parcels.
pub struct Parcels {
    undeliverable: Undeliverable,
    book: Book<Parcel>,
}

impl Parcels {
    /// Where nothing is sent from the command line, what was sent from the ledger.
    pub fn open(arguments: &Arguments) -> anyhow::Result<Self> {
        let book = Book::open(&arguments.service.ledger, WORDS, arguments.service.by_key())?;
        Ok(Self { undeliverable: Undeliverable::read(arguments), book })
    }

    /// Sends a parcel, once for an effect.
    pub fn dispatch(&mut self, effect: &Effect, dispatch: &Dispatch) -> Result<Acted<Dispatched>, HandlerError> {
        // Refused for good: what is under way already must not be refused, whatever has changed since.
        if self.book.standing(&effect.id().to_string()).done == 0 {
            self.undeliverable.check(dispatch)?;
        }
        let parcel = Parcel::new(effect, dispatch);
        let result = Dispatched { tracking: parcel.tracking.clone() };
        let act = self.book.act(effect, parcel)?;
        Ok(Acted { act, result })
    }

    /// Calls a parcel back, once for an effect, and lets no later dispatch of it through.
    pub fn cancel(&mut self, effect: &Effect, dispatch: &Dispatch) -> Result<Acted<()>, HandlerError> {
        let act = match self.book.undo(effect, closing(dispatch))? {
            Undo::Undone(_) => Act::First,
            Undo::Nothing => Act::Before,
        };
        Ok(Acted { act, result: () })
    }

    /// What became of a parcel.
    pub fn status(&self, effect_id: &str) -> ParcelStatus {
        ParcelStatus::of(self.book.standing(effect_id))
    }
}

/// Of a key that is closed before anything happened.
fn closing(dispatch: &Dispatch) -> Parcel {
    Parcel { order: dispatch.order.clone(), address: dispatch.address.clone(), tracking: String::new() }
}
