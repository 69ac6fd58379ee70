//! The stock and what of it is reserved. Quantities follow from the opening stock and the ledger; nothing else is kept.

use std::collections::BTreeMap;

use anyhow::Context;
use sagaline_participant::{Effect, HandlerError, payload};
use sagaline_service::{Act, Acted, Book, Undo, Words};
use serde::{Deserialize, Serialize};

use crate::Arguments;

payload! {
    /// Goods to be set aside.
    pub struct Reserve {
        /// Which article.
        pub sku: String,
        /// How many.
        pub quantity: i64,
        /// Where.
        pub warehouse: String,
        /// What is to go wrong, for demonstrations: `reserve=crash`.
        pub simulate: Option<String>,
    }

    /// Goods that were set aside.
    pub struct Reserved {
        /// The reservation's own number.
        pub reservation: String,
    }

    /// What became of a reservation.
    pub struct StockStatus {
        /// How many are set aside.
        pub reserved: i64,
        /// How many were given back.
        pub released: i64,
    }
}

/// What a line of the ledger says of a reservation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reservation {
    pub sku: String,
    pub quantity: i64,
    pub warehouse: String,
    pub reservation: String,
}

/// All goods.
pub struct Stock {
    opening: BTreeMap<String, i64>,
    quantity: i64,
    book: Book<Reservation>,
}

impl Stock {
    /// Opening stock from the command line, what happened since from the ledger.
    pub fn open(arguments: &Arguments) -> anyhow::Result<Self> {
        let opening = match &arguments.stock {
            None => BTreeMap::new(),
            Some(path) => {
                let text =
                    std::fs::read(path).with_context(|| format!("the stock {} can't be read", path.display()))?;
                serde_json::from_slice(&text)
                    .with_context(|| format!("{} is not {{\"article\": quantity}}", path.display()))?
            }
        };
        let words = Words { done: "reserved", undone: "released" };
        let book = Book::open(&arguments.service.ledger, words, arguments.service.by_key())?;
        Ok(Self { opening, quantity: arguments.quantity, book })
    }

    /// Sets goods aside, once for an effect.
    pub fn reserve(&mut self, effect: &Effect, reserve: &Reserve) -> Result<Acted<Reserved>, HandlerError> {
        let effect_id = effect.id().to_string();
        let there = self.there(&reserve.sku);
        if self.book.standing(&effect_id).done == 0 && reserve.quantity > there {
            let detail = format!("{there} of {} are there, {} are asked for", reserve.sku, reserve.quantity);
            return Err(HandlerError::refused("OutOfStock", detail));
        }
        let reservation = format!("res-{}", effect_id.replace('-', ""));
        let act = self.book.act(effect, line(reserve, reserve.quantity, reservation.clone()))?;
        Ok(Acted { act, result: Reserved { reservation } })
    }

    /// Gives goods back, once for an effect, and lets no later reservation of it through.
    pub fn release(&mut self, effect: &Effect, reserve: &Reserve) -> Result<Acted<()>, HandlerError> {
        let act = match self.book.undo(effect, line(reserve, 0, String::new()))? {
            Undo::Undone(_) => Act::First,
            Undo::Nothing => Act::Before,
        };
        Ok(Acted { act, result: () })
    }

    /// What became of a reservation.
    pub fn status(&self, effect_id: &str) -> StockStatus {
        let standing = self.book.standing(effect_id);
        let quantity = standing.details.map_or(0, |reservation| reservation.quantity);
        let (done, undone) = (i64::from(standing.done), i64::from(standing.undone));
        StockStatus { reserved: quantity * (done - undone), released: quantity * undone }
    }

    fn there(&self, sku: &str) -> i64 {
        let opening = self.opening.get(sku).copied().unwrap_or(self.quantity);
        let gone: i64 = self
            .book
            .standings()
            .filter_map(|standing| {
                let reservation = standing.details.as_ref().filter(|reservation| reservation.sku == sku)?;
                Some(reservation.quantity * (i64::from(standing.done) - i64::from(standing.undone)))
            })
            .sum();
        opening - gone
    }
}

fn line(reserve: &Reserve, quantity: i64, reservation: String) -> Reservation {
    Reservation { sku: reserve.sku.clone(), quantity, warehouse: reserve.warehouse.clone(), reservation }
}
