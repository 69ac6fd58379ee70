//! The transaction that a handler gets: the same in which its effect is recorded. It can be used, and only the SDK can end it.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::PgConnection;
use tokio::sync::oneshot;

use super::open::{Open, silence};
use crate::handler::{Call, HandlerError, HandlerOutcome, TransactionHandler};

/// The transaction in which the effect is recorded: what is written through it happens with the record or not at all. Use it as a connection,
/// `query.execute(&mut *transaction)`; commit and rollback are the SDK's. It goes back by being dropped, at the latest when the handler returns.
///
/// `Ok` commits what was written. Every error takes it back, a refusal too. Its isolation is READ COMMITTED: what is read and then written is to be
/// written by one statement, or read `FOR UPDATE`. Between two statements at most ten seconds may pass, so do nothing else in between; and the handler has
/// returned within `Limits::transaction`, or it is broken off.
pub struct Transaction {
    open: Option<Open>,
    home: Option<oneshot::Sender<Open>>,
}

const GONE: &str = "the transaction is there until it is dropped";

impl Deref for Transaction {
    type Target = PgConnection;
    fn deref(&self) -> &PgConnection {
        self.open.as_ref().expect(GONE)
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.open.as_mut().expect(GONE)
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let (Some(home), Some(open)) = (self.home.take(), self.open.take()) {
            // Nobody waits for it any more: it is dropped, and so rolled back.
            drop(home.send(open));
        }
    }
}

/// Runs a handler with the transaction, and gets that back; none: the handler has put it somewhere that outlives it. A panic is a failure. A handler that
/// takes longer than `limit` is broken off, and nothing of what it wrote has happened: either it is too slow, or the database does not answer it.
pub(super) async fn lend(
    handler: &TransactionHandler,
    call: Call,
    transaction: Open,
    limit: Duration,
) -> Result<(HandlerOutcome, Option<Open>), sqlx::Error> {
    let (home, mut back) = oneshot::channel();
    let lent = Transaction { open: Some(transaction), home: Some(home) };
    let mut handling = tokio::spawn(handler(call, lent));
    let Ok(ended) = tokio::time::timeout(limit, &mut handling).await else {
        // Its transaction goes with it: nobody takes that back.
        handling.abort();
        return Err(silence(limit, "a handler with its transaction"));
    };
    let outcome = ended.unwrap_or_else(|error| Err(HandlerError::broke_off(&error)));
    Ok((outcome, back.try_recv().ok()))
}
