//! Where sealed encodings live: the Store trait, sled, and a faulty twin for tests.
