// The entry that libFuzzer calls, built by scripts/fuzz. In the package it is a plain library, so
// that the tests can replay the corpus through the very same properties.

/// Runs all properties on one input and traps with the name of one that does not hold.
@_cdecl("LLVMFuzzerTestOneInput")
package func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let input = Array(UnsafeBufferPointer(start: data, count: count))
  if let broken = WireProperties.broken(by: input) { fatalError(broken) }
  return 0
}

/// The properties of the module Wire for every input.
package enum WireProperties {
  /// The first property that the input breaks, in words; nil if all hold.
  package static func broken(by input: [UInt8]) -> String? {
    if let broken = FramerProperties.broken(by: input) { return broken }
    if let broken = HTTPProperties.broken(by: input) { return broken }
    var properties = ParserProperties()
    for line in input.split(separator: UInt8(ascii: "\n")) {
      if let broken = properties.broken(by: Array(line)) { return broken }
    }
    return nil
  }
}
