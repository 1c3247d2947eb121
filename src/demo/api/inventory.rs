//! What is in stock, and who ordered what?
//!
//! Everything is in memory and gone with the process.

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// More orders than this are refused, so that a loop cannot fill the memory.
const MAX_ORDERS: usize = 10_000;
const MAX_CUSTOMER_CHARS: usize = 200;
const FIRST_ORDER: u64 = 1001;

/// SKU, name, pieces in stock, price of a piece in cents.
const PRODUCTS: [(&str, &str, u32, u64); 6] = [
    ("TEA-100", "Smoked black tea, 100 g", 240, 690),
    ("TEA-250", "Smoked black tea, 250 g", 85, 1490),
    ("POT-RED", "Clay teapot, red", 12, 3900),
    ("POT-BLU", "Clay teapot, blue", 0, 3900),
    ("CUP-SET", "Four cups in a box", 40, 2450),
    ("TIN-OLD", "Storage tin with a lid", 7, 1150),
];

/// SKU, quantity, customer, status.
const ORDERS: [(&str, u32, &str, OrderStatus); 5] = [
    ("TEA-100", 24, "Quiet Kettle Teahouse", OrderStatus::Delivered),
    ("CUP-SET", 6, "Quiet Kettle Teahouse", OrderStatus::Shipped),
    ("POT-RED", 1, "Ada Quill", OrderStatus::Pending),
    ("TIN-OLD", 3, "Birch & Barley Bakery", OrderStatus::Cancelled),
    ("TEA-250", 10, "Birch & Barley Bakery", OrderStatus::Pending),
];

/// How far an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum OrderStatus {
    /// Accepted, not sent yet
    Pending,
    /// On its way
    Shipped,
    /// Arrived
    Delivered,
    /// Called off
    Cancelled,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Order {
    /// Number of the order
    pub(super) id: u64,
    /// What was ordered
    pub(super) sku: String,
    /// How many pieces
    pub(super) quantity: u32,
    /// Who ordered
    pub(super) customer: String,
    /// How far the order has come
    pub(super) status: OrderStatus,
    /// Price of all pieces together, in cents
    pub(super) total_cents: u64,
}

/// What is known about one product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Stock {
    /// Number of the product
    pub(super) sku: String,
    /// Name of the product
    pub(super) name: String,
    /// Pieces that can be ordered now
    pub(super) available: u32,
    /// Price of one piece, in cents
    pub(super) price_cents: u64,
}

/// Why an order or a product could not be had; the text is written for the model that asked.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InventoryError {
    #[error("no order {0}; list_orders shows all orders")]
    NoOrder(u64),
    #[error("no product {0}; there are {known}", known = known_skus())]
    NoProduct(String),
    #[error("only {available} of {sku} in stock; order at most that many or choose another product")]
    OutOfStock { sku: String, available: u32 },
    #[error("quantity must be at least 1")]
    NoQuantity,
    #[error("customer must have 1 to {MAX_CUSTOMER_CHARS} characters")]
    BadCustomer,
    #[error("this demo keeps at most {MAX_ORDERS} orders; restart it to begin again")]
    Full,
}

struct Books {
    stock: Vec<Stock>,
    orders: Vec<Order>,
}

/// All stock and all orders. The lock is never held across an await.
pub(super) struct Inventory {
    books: Mutex<Books>,
}

impl Inventory {
    /// The fictional shop as it is at every start.
    pub(super) fn new() -> Self {
        let stock: Vec<Stock> = PRODUCTS.iter().map(product).collect();
        let orders = (FIRST_ORDER..).zip(ORDERS).map(|(id, seed)| seeded_order(id, seed, &stock)).collect();
        Self { books: Mutex::new(Books { stock, orders }) }
    }

    /// All orders, newest first; only those with `status` if one is given.
    pub(super) fn orders(&self, status: Option<OrderStatus>) -> Vec<Order> {
        let books = self.books.lock();
        let wanted =
            books.orders.iter().rev().filter(|order| status.is_none_or(|status| order.status == status));
        wanted.cloned().collect()
    }

    pub(super) fn order(&self, id: u64) -> Result<Order, InventoryError> {
        let books = self.books.lock();
        books.orders.iter().find(|order| order.id == id).cloned().ok_or(InventoryError::NoOrder(id))
    }

    pub(super) fn stock(&self, sku: &str) -> Result<Stock, InventoryError> {
        let books = self.books.lock();
        let found = books.stock.iter().find(|stock| stock.sku.eq_ignore_ascii_case(sku.trim()));
        found.cloned().ok_or_else(|| InventoryError::NoProduct(sku.to_owned()))
    }

    /// Takes `quantity` pieces out of the stock and books the order, both or neither.
    pub(super) fn create(&self, sku: &str, quantity: u32, customer: &str) -> Result<Order, InventoryError> {
        let customer = customer.trim();
        if customer.is_empty() || customer.chars().count() > MAX_CUSTOMER_CHARS {
            return Err(InventoryError::BadCustomer);
        }
        self.books.lock().create(sku.trim(), quantity, customer)
    }
}

impl Books {
    fn create(&mut self, sku: &str, quantity: u32, customer: &str) -> Result<Order, InventoryError> {
        if self.orders.len() >= MAX_ORDERS {
            return Err(InventoryError::Full);
        }
        let found = self.stock.iter_mut().find(|stock| stock.sku.eq_ignore_ascii_case(sku));
        let stock = found.ok_or_else(|| InventoryError::NoProduct(sku.to_owned()))?;
        if quantity == 0 {
            return Err(InventoryError::NoQuantity);
        }
        let left = stock.available.checked_sub(quantity);
        stock.available =
            left.ok_or(InventoryError::OutOfStock { sku: stock.sku.clone(), available: stock.available })?;
        let order = Order {
            id: FIRST_ORDER + self.orders.len() as u64,
            sku: stock.sku.clone(),
            quantity,
            customer: customer.to_owned(),
            status: OrderStatus::Pending,
            total_cents: stock.price_cents * u64::from(quantity),
        };
        self.orders.push(order.clone());
        Ok(order)
    }
}

fn product(&(sku, name, available, price_cents): &(&str, &str, u32, u64)) -> Stock {
    Stock { sku: sku.to_owned(), name: name.to_owned(), available, price_cents }
}

fn seeded_order(
    id: u64,
    (sku, quantity, customer, status): (&str, u32, &str, OrderStatus),
    stock: &[Stock],
) -> Order {
    let price_cents = stock.iter().find(|stock| stock.sku == sku).map_or(0, |stock| stock.price_cents);
    let (sku, customer) = (sku.to_owned(), customer.to_owned());
    Order { id, sku, quantity, customer, status, total_cents: price_cents * u64::from(quantity) }
}

fn known_skus() -> String {
    PRODUCTS.map(|(sku, ..)| sku).join(", ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_order_takes_its_pieces_out_of_the_stock() {
        let inventory = Inventory::new();
        let order = inventory.create("pot-red", 5, "Ada Quill").unwrap();
        assert_eq!((order.sku.as_str(), order.total_cents), ("POT-RED", 5 * 3900));
        assert_eq!(inventory.stock("POT-RED").unwrap().available, 7);
        assert_eq!(inventory.order(order.id).unwrap(), order);
        assert_eq!(inventory.orders(None).first(), Some(&order));
    }

    #[test]
    fn a_refused_order_changes_nothing() {
        let inventory = Inventory::new();
        let before = inventory.orders(None);
        let refusals = [
            inventory.create("POT-RED", 13, "Ada Quill"),
            inventory.create("POT-RED", 0, "Ada Quill"),
            inventory.create("POT-RED", 1, " "),
            inventory.create("NOPE", 1, "Ada Quill"),
        ];
        assert!(refusals.iter().all(Result::is_err), "{refusals:?}");
        assert_eq!(inventory.orders(None), before);
        assert_eq!(inventory.stock("POT-RED").unwrap().available, 12);
    }

    #[test]
    fn errors_say_what_would_work() {
        let inventory = Inventory::new();
        let unknown = inventory.stock("NOPE").unwrap_err().to_string();
        assert!(unknown.contains("TEA-100") && unknown.contains("TIN-OLD"), "{unknown}");
        let too_many = inventory.create("TIN-OLD", 8, "Ada Quill").unwrap_err().to_string();
        assert!(too_many.contains("only 7 of TIN-OLD"), "{too_many}");
    }

    #[test]
    fn a_status_filters_the_orders() {
        let pending = Inventory::new().orders(Some(OrderStatus::Pending));
        assert_eq!(pending.len(), 2);
        assert!(pending.iter().all(|order| order.status == OrderStatus::Pending));
    }
}
