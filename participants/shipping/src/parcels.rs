//! Parcels and what became of them. All of it follows from the ledger.

use std::collections::BTreeSet;

use sagaline_participant::{Effect, HandlerError, payload};
use sagaline_service::{Act, Acted, Book, Undo, Words};
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

/// All parcels.
pub struct Parcels {
    undeliverable: BTreeSet<String>,
    book: Book<Parcel>,
}

impl Parcels {
    /// Where nothing is sent from the command line, what was sent from the ledger.
    pub fn open(arguments: &Arguments) -> anyhow::Result<Self> {
        let words = Words { done: "dispatched", undone: "cancelled" };
        let book = Book::open(&arguments.service.ledger, words, arguments.service.by_key())?;
        Ok(Self { undeliverable: arguments.undeliverable.iter().cloned().collect(), book })
    }

    /// Sends a parcel, once for an effect.
    pub fn dispatch(&mut self, effect: &Effect, dispatch: &Dispatch) -> Result<Acted<Dispatched>, HandlerError> {
        let country = &dispatch.address.country;
        // Refused for good: what is under way already must not be refused, whatever has changed since.
        let sent = self.book.standing(&effect.id().to_string()).done > 0;
        if !sent && self.undeliverable.contains(country) {
            return Err(HandlerError::refused("UndeliverableAddress", format!("no parcel is sent to {country}")));
        }
        let tracking = format!("trk-{}", effect.id().to_string().replace('-', ""));
        let act = self.book.act(effect, parcel(dispatch, tracking.clone()))?;
        Ok(Acted { act, result: Dispatched { tracking } })
    }

    /// Calls a parcel back, once for an effect, and lets no later dispatch of it through.
    pub fn cancel(&mut self, effect: &Effect, dispatch: &Dispatch) -> Result<Acted<()>, HandlerError> {
        let act = match self.book.undo(effect, parcel(dispatch, String::new()))? {
            Undo::Undone(_) => Act::First,
            Undo::Nothing => Act::Before,
        };
        Ok(Acted { act, result: () })
    }

    /// What became of a parcel.
    pub fn status(&self, effect_id: &str) -> ParcelStatus {
        let standing = self.book.standing(effect_id);
        ParcelStatus {
            under_way: standing.done > standing.undone,
            tracking: standing.details.map(|parcel| parcel.tracking),
        }
    }
}

fn parcel(dispatch: &Dispatch, tracking: String) -> Parcel {
    Parcel { order: dispatch.order.clone(), address: dispatch.address.clone(), tracking }
}
