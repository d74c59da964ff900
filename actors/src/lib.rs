//! Who is doing it, and in what order.
