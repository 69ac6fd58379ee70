//! Accounts and what was charged to them, in the ledger file. Balances follow from the opening balances and the ledger; nothing else is kept.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use sagaline_participant::{Effect, HandlerError, payload};
use sagaline_service::{Act, Acted, Book, Standing, Undo, Words};
use serde::{Deserialize, Serialize};

use crate::Arguments;

payload! {
    /// Money to be taken from an account.
    pub struct Charge {
        /// Whose.
        pub account: String,
        /// How much, in cents.
        pub amount: i64,
        /// Of what.
        pub currency: String,
        /// What is to go wrong, for demonstrations: `charge=late:5s, refund=fail:2`.
        pub simulate: Option<String>,
    }

    /// Money that was taken.
    pub struct Charged {
        /// The payment's own number.
        pub reference: String,
        /// How much, in cents.
        pub captured: i64,
    }

    /// What became of a charge.
    pub struct PaymentStatus {
        /// The payment's own number, where there is one.
        pub reference: Option<String>,
        /// How much stands, in cents.
        pub captured: i64,
        /// How much was given back, in cents.
        pub refunded: i64,
    }
}

/// What a line of the ledger says of a payment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Payment {
    pub account: String,
    pub amount: i64,
    pub currency: String,
    pub reference: String,
}

impl Payment {
    /// Of this charge.
    pub fn new(effect: &Effect, charge: &Charge) -> Self {
        let reference = format!("pay-{}", effect.id().to_string().replace('-', ""));
        let Charge { account, amount, currency, .. } = charge.clone();
        Self { account, amount, currency, reference }
    }
}

impl PaymentStatus {
    /// As the ledger has it.
    pub fn of(standing: Standing<Payment>) -> Self {
        let amount = standing.details.as_ref().map_or(0, |payment| payment.amount);
        let (done, undone) = (i64::from(standing.done), i64::from(standing.undone));
        Self {
            reference: standing.details.map(|payment| payment.reference),
            captured: amount * (done - undone),
            refunded: amount * undone,
        }
    }
}

/// What the ledger calls a charge and a refund.
pub const WORDS: Words = Words { done: "charged", undone: "refunded" };

/// What is known of accounts before anything was charged.
pub struct Opening {
    named: BTreeMap<String, i64>,
    other: i64,
    expired: BTreeSet<String>,
}

impl Opening {
    /// As the command line says.
    pub fn read(arguments: &Arguments) -> anyhow::Result<Self> {
        let named = match &arguments.accounts {
            None => BTreeMap::new(),
            Some(path) => {
                let text =
                    std::fs::read(path).with_context(|| format!("the accounts {} can't be read", path.display()))?;
                serde_json::from_slice(&text)
                    .with_context(|| format!("{} is not {{\"account\": balance}}", path.display()))?
            }
        };
        Ok(Self { named, other: arguments.balance, expired: arguments.expired.iter().cloned().collect() })
    }

    /// What an account opens with.
    pub fn balance(&self, account: &str) -> i64 {
        self.named.get(account).copied().unwrap_or(self.other)
    }

    /// A card that has expired takes no charge. A negative one is whoever's mistake that sent it, and no refusal that a saga could go on from.
    pub fn check(&self, charge: &Charge) -> Result<(), HandlerError> {
        let Charge { account, amount, .. } = charge;
        if *amount < 0 {
            return Err(HandlerError::failed(format!("an amount of {amount} would be given to {account}, not taken")));
        }
        if self.expired.contains(account) {
            return Err(HandlerError::refused("CardExpired", format!("the card of {account} has expired")));
        }
        Ok(())
    }
}

/// All accounts.
pub struct Accounts {
    opening: Opening,
    book: Book<Payment>,
}

impl Accounts {
    /// Opening balances from the command line, what happened since from the ledger.
    pub fn open(arguments: &Arguments) -> anyhow::Result<Self> {
        let book = Book::open(&arguments.service.ledger, WORDS, arguments.service.by_key())?;
        Ok(Self { opening: Opening::read(arguments)?, book })
    }

    /// Takes money, once for an effect.
    pub fn charge(&mut self, effect: &Effect, charge: &Charge) -> Result<Acted<Charged>, HandlerError> {
        let known = self.book.standing(&effect.id().to_string()).done > 0;
        if !known {
            self.check(charge)?;
        }
        let payment = Payment::new(effect, charge);
        let result = Charged { reference: payment.reference.clone(), captured: payment.amount };
        let act = self.book.act(effect, payment)?;
        Ok(Acted { act, result })
    }

    fn check(&self, charge: &Charge) -> Result<(), HandlerError> {
        self.opening.check(charge)?;
        let balance = self.balance(&charge.account);
        if charge.amount > balance {
            return Err(insufficient(charge, balance));
        }
        Ok(())
    }

    /// Gives the money back, once for an effect, and lets no later charge of it through.
    pub fn refund(&mut self, effect: &Effect, charge: &Charge) -> Result<Acted<()>, HandlerError> {
        let Charge { account, currency, .. } = charge.clone();
        let act = match self.book.undo(effect, Payment { account, amount: 0, currency, reference: String::new() })? {
            Undo::Undone(_) => Act::First,
            Undo::Nothing => Act::Before,
        };
        Ok(Acted { act, result: () })
    }

    /// What became of a charge.
    pub fn status(&self, effect_id: &str) -> PaymentStatus {
        PaymentStatus::of(self.book.standing(effect_id))
    }

    fn balance(&self, account: &str) -> i64 {
        let taken: i64 = self
            .book
            .standings()
            .filter_map(|standing| {
                let payment = standing.details.as_ref().filter(|payment| payment.account == account)?;
                Some(payment.amount * (i64::from(standing.done) - i64::from(standing.undone)))
            })
            .sum();
        self.opening.balance(account) - taken
    }
}

/// The refusal of a charge that the balance does not cover.
pub fn insufficient(charge: &Charge, balance: i64) -> HandlerError {
    let detail = format!("{} has {balance}, {} are asked for", charge.account, charge.amount);
    HandlerError::refused("InsufficientFunds", detail)
}
