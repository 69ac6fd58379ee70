//! Accounts and what was charged to them. Balances follow from the opening balances and the ledger; nothing else is kept.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use sagaline_participant::{Effect, HandlerError, payload};
use sagaline_service::{Act, Acted, Book, Undo, Words};
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

/// All accounts.
pub struct Accounts {
    opening: BTreeMap<String, i64>,
    balance: i64,
    expired: BTreeSet<String>,
    book: Book<Payment>,
}

impl Accounts {
    /// Opening balances from the command line, what happened since from the ledger.
    pub fn open(arguments: &Arguments) -> anyhow::Result<Self> {
        let opening = match &arguments.accounts {
            None => BTreeMap::new(),
            Some(path) => {
                let text =
                    std::fs::read(path).with_context(|| format!("the accounts {} can't be read", path.display()))?;
                serde_json::from_slice(&text)
                    .with_context(|| format!("{} is not {{\"account\": balance}}", path.display()))?
            }
        };
        let words = Words { done: "charged", undone: "refunded" };
        let book = Book::open(&arguments.service.ledger, words, arguments.service.by_key())?;
        Ok(Self { opening, balance: arguments.balance, expired: arguments.expired.iter().cloned().collect(), book })
    }

    /// Takes money, once for an effect.
    pub fn charge(&mut self, effect: &Effect, charge: &Charge) -> Result<Acted<Charged>, HandlerError> {
        let reference = reference(&effect.id().to_string());
        let charged = Charged { reference: reference.clone(), captured: charge.amount };
        let known = self.book.standing(&effect.id().to_string()).done > 0;
        if !known {
            self.check(charge)?;
        }
        let Charge { account, amount, currency, .. } = charge.clone();
        let act = self.book.act(effect, Payment { account, amount, currency, reference })?;
        Ok(Acted { act, result: charged })
    }

    fn check(&self, charge: &Charge) -> Result<(), HandlerError> {
        if self.expired.contains(&charge.account) {
            return Err(HandlerError::refused("CardExpired", format!("the card of {} has expired", charge.account)));
        }
        let balance = self.balance(&charge.account);
        if charge.amount > balance {
            let detail = format!("{} has {balance}, {} are asked for", charge.account, charge.amount);
            return Err(HandlerError::refused("InsufficientFunds", detail));
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
        let standing = self.book.standing(effect_id);
        let amount = standing.details.as_ref().map_or(0, |payment| payment.amount);
        let (done, undone) = (i64::from(standing.done), i64::from(standing.undone));
        PaymentStatus {
            reference: standing.details.map(|payment| payment.reference),
            captured: amount * (done - undone),
            refunded: amount * undone,
        }
    }

    fn balance(&self, account: &str) -> i64 {
        let opening = self.opening.get(account).copied().unwrap_or(self.balance);
        let taken: i64 = self
            .book
            .standings()
            .filter_map(|standing| {
                let payment = standing.details.as_ref().filter(|payment| payment.account == account)?;
                Some(payment.amount * (i64::from(standing.done) - i64::from(standing.undone)))
            })
            .sum();
        opening - taken
    }
}

fn reference(effect_id: &str) -> String {
    format!("pay-{}", effect_id.replace('-', ""))
}
