//! Calls that are repeated while a partition may be without a leader.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::{Code, Response, Status};

/// How long: several elections.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// What came of a call in the end.
#[derive(Debug)]
pub struct Answered<T> {
    /// The last answer.
    pub result: Result<T, Status>,
    /// An attempt before it may have been executed, though nobody has said so.
    pub maybe_before: bool,
}

/// Makes a call, again and again if its partition has no leader, loses it meanwhile or has too much to do.
pub async fn patiently<T>(call: impl AsyncFnMut() -> Result<Response<T>, Status>) -> Answered<T> {
    let mut call = call;
    let deadline = Instant::now() + PATIENCE;
    let mut maybe_before = false;
    loop {
        let status = match call().await {
            Ok(answer) => {
                return Answered {
                    result: Ok(answer.into_inner()),
                    maybe_before,
                };
            }
            Err(status) => status,
        };
        let lost = status.code() == Code::Unavailable;
        let refused = status.code() == Code::ResourceExhausted;
        if !(lost || refused) || Instant::now() >= deadline {
            return Answered {
                result: Err(status),
                maybe_before,
            };
        }
        maybe_before |= lost;
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with these codes, then always with the last one.
    async fn answered(codes: &[Code]) -> (Answered<()>, usize) {
        let mut calls = 0;
        let answered = patiently(async || {
            let code = codes[calls.min(codes.len() - 1)];
            calls += 1;
            match code {
                Code::Ok => Ok(Response::new(())),
                code => Err(Status::new(code, "")),
            }
        })
        .await;
        (answered, calls)
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_repeated_while_it_may_be_answered_otherwise_soon() {
        let (answer, calls) = answered(&[Code::ResourceExhausted, Code::Ok]).await;
        assert!(answer.result.is_ok() && !answer.maybe_before && calls == 2);
        let (answer, calls) = answered(&[Code::Unavailable, Code::NotFound]).await;
        assert_eq!(
            answer.result.map_err(|status| status.code()),
            Err(Code::NotFound)
        );
        assert!(answer.maybe_before && calls == 2);
        let (answer, calls) = answered(&[Code::InvalidArgument]).await;
        assert!(answer.result.is_err() && !answer.maybe_before && calls == 1);
    }

    #[tokio::test(start_paused = true)]
    async fn not_for_ever() {
        let (answer, calls) = answered(&[Code::Unavailable]).await;
        assert_eq!(
            answer.result.map_err(|status| status.code()),
            Err(Code::Unavailable)
        );
        assert_eq!(calls, 301);
    }
}
