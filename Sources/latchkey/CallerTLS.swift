// Owns: the flags by which the commands that ask a worker speak TLS; `load` reads its own. Main
// thread.

import LatchkeyClient

/// TLS to a worker, as the command line asks for it.
enum CallerTLS {
  static let usage = """
      --tls            speaks TLS; the worker's certificate has to be of its HOST (or
                       LATCHKEY_TLS=1), as with each of these:
      --tls-ca F       the authorities of the worker's certificate, in PEM; without it those of the
                       system (or LATCHKEY_TLS_CA)
      --tls-client-cert F, --tls-client-key F
                       the caller's certificate and key, where the worker wants one (or
                       LATCHKEY_TLS_CLIENT_CERT and LATCHKEY_TLS_CLIENT_KEY)
    """

  static let valued = ["--tls-ca", "--tls-client-cert", "--tls-client-key"]
  static let switches = ["--tls"]

  /// Nil without any of the flags.
  static func read(_ flags: CommandFlags, command: String) -> LatchkeyTLS? {
    guard flags.isOn("--tls") || valued.contains(where: { flags[$0] != nil }) else { return nil }
    let tls = LatchkeyTLS(
      authorities: flags["--tls-ca"], certificate: flags["--tls-client-cert"],
      key: flags["--tls-client-key"])
    guard (tls.certificate == nil) == (tls.key == nil) else {
      Console.fail(
        "latchkey \(command): --tls-client-cert and --tls-client-key are given together\n",
        status: 2)
    }
    return tls
  }
}
