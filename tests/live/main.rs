//! `rollproof controller` on a real control plane: etcd, kube-apiserver and kube-controller-manager of
//! `tests/cluster`, with pods that a fake kubelet plays. Skipped, and said so, where it cannot be built.

#![allow(clippy::disallowed_methods, reason = "a cluster has its own clock")]

mod calibration;
mod control_plane;
mod controller;
mod faults;
mod fence;
mod history;
mod leader;
mod objects;
mod operation;
mod rights;
mod secrets;
