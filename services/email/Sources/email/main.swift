import EmailService
import ServiceKit

await EmailProcess.process.main()
