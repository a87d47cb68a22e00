//! Messages and services of the interface, generated from `proto/*.proto`.
//!
//! The clients are behind the feature `client`.

#![allow(missing_docs, clippy::all)]

tonic::include_proto!("gateway_protocol");

/// The standard health service.
pub mod health {
    tonic::include_proto!("grpc.health.v1");
}
