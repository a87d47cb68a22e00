//! Behaviours that Zeebe's own tests pin down, by area.

mod cancel;
mod create;
mod errors;
mod gateways;
mod harness;
mod incidents;
mod jobs;
mod random;
mod safety;
mod scopes;
mod timers;
mod tokens;
mod variables;
