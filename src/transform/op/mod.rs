//! The catalogue of transforms.
