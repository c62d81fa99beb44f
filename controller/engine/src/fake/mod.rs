//! A model of an engine.
