//! The stock and what of it is reserved, in the ledger file. Quantities follow from the opening stock and the ledger; nothing else is kept.

use std::collections::BTreeMap;

use anyhow::Context;
use sagaline_participant::{Effect, HandlerError, payload};
use sagaline_service::{Act, Acted, Book, Standing, Undo, Words};
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

impl Reservation {
    /// Of these goods.
    pub fn new(effect: &Effect, reserve: &Reserve) -> Self {
        let reservation = format!("res-{}", effect.id().to_string().replace('-', ""));
        let Reserve { sku, quantity, warehouse, .. } = reserve.clone();
        Self { sku, quantity, warehouse, reservation }
    }
}

impl StockStatus {
    /// As the ledger has it.
    pub fn of(standing: Standing<Reservation>) -> Self {
        let quantity = standing.details.map_or(0, |reservation| reservation.quantity);
        let (done, undone) = (i64::from(standing.done), i64::from(standing.undone));
        Self { reserved: quantity * (done - undone), released: quantity * undone }
    }
}

/// What the ledger calls a reservation and a release.
pub const WORDS: Words = Words { done: "reserved", undone: "released" };

/// What is there before anything is reserved.
pub struct Opening {
    named: BTreeMap<String, i64>,
    other: i64,
}

impl Opening {
    /// As the command line says.
    pub fn read(arguments: &Arguments) -> anyhow::Result<Self> {
        let named = match &arguments.stock {
            None => BTreeMap::new(),
            Some(path) => {
                let text =
                    std::fs::read(path).with_context(|| format!("the stock {} can't be read", path.display()))?;
                serde_json::from_slice(&text)
                    .with_context(|| format!("{} is not {{\"article\": quantity}}", path.display()))?
            }
        };
        Ok(Self { named, other: arguments.quantity })
    }

    /// How many of an article are there.
    pub fn quantity(&self, sku: &str) -> i64 {
        self.named.get(sku).copied().unwrap_or(self.other)
    }
}

/// The refusal of a reservation that the stock does not cover.
pub fn out_of_stock(reserve: &Reserve, there: i64) -> HandlerError {
    let detail = format!("{there} of {} are there, {} are asked for", reserve.sku, reserve.quantity);
    HandlerError::refused("OutOfStock", detail)
}

/// All goods.
pub struct Stock {
    opening: Opening,
    book: Book<Reservation>,
}

impl Stock {
    /// Opening stock from the command line, what happened since from the ledger.
    pub fn open(arguments: &Arguments) -> anyhow::Result<Self> {
        let book = Book::open(&arguments.service.ledger, WORDS, arguments.service.by_key())?;
        Ok(Self { opening: Opening::read(arguments)?, book })
    }

    /// Sets goods aside, once for an effect.
    pub fn reserve(&mut self, effect: &Effect, reserve: &Reserve) -> Result<Acted<Reserved>, HandlerError> {
        let there = self.there(&reserve.sku);
        if self.book.standing(&effect.id().to_string()).done == 0 && reserve.quantity > there {
            return Err(out_of_stock(reserve, there));
        }
        let line = Reservation::new(effect, reserve);
        let result = Reserved { reservation: line.reservation.clone() };
        let act = self.book.act(effect, line)?;
        Ok(Acted { act, result })
    }

    /// Gives goods back, once for an effect, and lets no later reservation of it through.
    pub fn release(&mut self, effect: &Effect, reserve: &Reserve) -> Result<Acted<()>, HandlerError> {
        let act = match self.book.undo(effect, closing(reserve))? {
            Undo::Undone(_) => Act::First,
            Undo::Nothing => Act::Before,
        };
        Ok(Acted { act, result: () })
    }

    /// What became of a reservation.
    pub fn status(&self, effect_id: &str) -> StockStatus {
        StockStatus::of(self.book.standing(effect_id))
    }

    fn there(&self, sku: &str) -> i64 {
        let gone: i64 = self
            .book
            .standings()
            .filter_map(|standing| {
                let reservation = standing.details.as_ref().filter(|reservation| reservation.sku == sku)?;
                Some(reservation.quantity * (i64::from(standing.done) - i64::from(standing.undone)))
            })
            .sum();
        self.opening.quantity(sku) - gone
    }
}

/// Of a key that is closed before anything happened.
fn closing(reserve: &Reserve) -> Reservation {
    let Reserve { sku, warehouse, .. } = reserve.clone();
    Reservation { sku, quantity: 0, warehouse, reservation: String::new() }
}
