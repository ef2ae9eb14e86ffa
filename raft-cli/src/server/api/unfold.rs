//! A stream out of steps: what a service says one after another, each thing made when the one
//! before it was taken. So nothing piles up for a client that reads slowly, and no task has to be
//! looked after. It does not know what is said.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_stream::Stream;
use tonic::Status;

/// What a service answers with, one after another.
pub(crate) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The answers that steps come to, until one comes to none, or fails.
pub(crate) struct Unfold<Step, Taken> {
    step: Step,
    /// The step under way; `None` after the last.
    taken: Option<Pin<Box<Taken>>>,
}

/// Each step gets what the one before it has left.
pub(crate) fn unfold<State, Step, Taken, Answer>(
    state: State,
    mut step: Step,
) -> Unfold<Step, Taken>
where
    Step: FnMut(State) -> Taken,
    Taken: Future<Output = Result<Option<(Answer, State)>, Status>>,
{
    let taken = Some(Box::pin(step(state)));
    Unfold { step, taken }
}

impl<State, Step, Taken, Answer> Stream for Unfold<Step, Taken>
where
    Step: FnMut(State) -> Taken + Unpin,
    Taken: Future<Output = Result<Option<(Answer, State)>, Status>>,
{
    type Item = Result<Answer, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(taken) = &mut this.taken else {
            return Poll::Ready(None);
        };
        let Poll::Ready(done) = taken.as_mut().poll(context) else {
            return Poll::Pending;
        };
        let (answer, next) = match done {
            Ok(Some((answer, state))) => (Some(Ok(answer)), Some(Box::pin((this.step)(state)))),
            Ok(None) => (None, None),
            Err(status) => (Some(Err(status)), None),
        };
        this.taken = next;
        Poll::Ready(answer)
    }
}
