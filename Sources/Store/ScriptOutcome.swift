// Owns: the form of a script call's outcome. A value; any thread.

package import Wire

/// The outcome of a script call.
package enum ScriptOutcome {
  /// Its reply line, without an end; good during the call.
  ///
  /// `dueInMs`: after a change, when the session that it shows has its next deadline, if there is
  /// one.
  case line(UnsafeBufferPointer<UInt8>, dueInMs: Int64? = nil)
  case failed(RequestError)
}
