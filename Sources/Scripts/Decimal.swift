// Owns: numbers as decimal digits, without allocating. Any thread.

/// Lends the decimal digits of a number, made on the stack: a String would allocate.
package func withDecimal(_ number: Int64, _ body: (UnsafeBufferPointer<UInt8>) -> Void) {
  withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
    var at = 20
    var rest = number.magnitude
    repeat {
      at -= 1
      digits[at] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    } while rest > 0
    if number < 0 {
      at -= 1
      digits[at] = UInt8(ascii: "-")
    }
    body(UnsafeBufferPointer(rebasing: digits[at...]))
  }
}
