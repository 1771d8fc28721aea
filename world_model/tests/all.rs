//! The tests of this crate as one program: they link it once.

mod adaptation;
mod checkpoint_config;
mod critic;
mod dynamics;
mod frozen;
mod heads;
mod lewm;
mod lewm_as_saved;
mod lewm_folders;
mod lewm_pickles;
mod model;
mod policy;
mod pretraining;
mod sensors;
mod state_probe;
mod stochastic;
mod support;
mod training;
mod training_states;
mod vit_folders;
mod vit_parity;
