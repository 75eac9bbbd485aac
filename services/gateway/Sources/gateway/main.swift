import GatewayService
import ServiceKit

await GatewayProcess.process.main()
