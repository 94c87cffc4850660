//! What the kernel half decides by itself about a valid advert.
