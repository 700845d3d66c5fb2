//! Nothing lives here: the tests of this member stand in its `tests` folder.
