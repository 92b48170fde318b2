//! Generator of children's records in several agencies, with truth. Pure and seeded.
