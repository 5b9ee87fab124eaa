// Owns: the error of a failed system call. Knows nothing of sockets, Redis or clients. Any thread.

internal import Glibc

/// A system call that failed, with its errno: the system's kind of error.
package struct SystemError: Error, CustomStringConvertible, Sendable {
  /// The call's name, and what it was about where that helps.
  package let call: String
  /// The value of `errno` right after the call.
  package let number: Int32

  package init(_ call: String, _ number: Int32) {
    self.call = call
    self.number = number
  }

  package var description: String {
    var text = [CChar](repeating: 0, count: 128)
    guard strerror_r(number, &text, text.count) == 0 else { return "\(call): errno \(number)" }
    let message = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return "\(call): \(String(decoding: message, as: UTF8.self))"
  }
}

/// Runs a system call until it is not interrupted, and throws what it failed with.
///
/// Every call that can block or fail goes through here, so EINTR is handled in one place.
@discardableResult
package func systemCall<Result: FixedWidthInteger & SignedInteger>(
  _ name: @autoclosure () -> String, _ body: () -> Result
) throws(SystemError) -> Result {
  while true {
    let result = body()
    if result >= 0 { return result }
    let number = errno
    if number != EINTR { throw SystemError(name(), number) }
  }
}
