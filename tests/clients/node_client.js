// The workflow of README.md with zeebe-node.
const path = require('path')
const { ZBClient } = require('zeebe-node')

const PATIENCE_MS = 60_000

/** Completes that many jobs and gives the orders that they belong to. */
function work(client, taskType, count) {
    const orders = []
    return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${count} jobs of type ${taskType} did not come`)), PATIENCE_MS)
        const worker = client.createWorker({
            taskType,
            maxJobsToActivate: count,
            taskHandler: async (job) => {
                const answer = await job.complete({ [taskType]: true })
                orders.push(job.variables.order)
                if (orders.length === count) {
                    clearTimeout(timer)
                    worker.close().then(() => resolve(orders.sort()))
                }
                return answer
            },
        })
    })
}

function check(found, expected) {
    if (JSON.stringify(found) !== JSON.stringify(expected)) {
        throw new Error(`found ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`)
    }
}

async function before(client) {
    await client.deployResource({ processFilename: path.join(__dirname, 'process.bpmn') })
    for (const order of [1, 2, 3]) {
        await client.createProcessInstance({ bpmnProcessId: 'client-tour', variables: { order } })
    }
    check(await work(client, 'first-step', 3), [1, 2, 3])
}

async function after(client) {
    const publish = (order) =>
        client.publishMessage({ name: 'paid', correlationKey: String(order), timeToLive: 60_000, variables: {} })
    for (const order of [1, 2, 3]) await publish(order)
    check(await work(client, 'second-step', 3), [1, 2, 3])
    const result = client.createProcessInstanceWithResult({
        bpmnProcessId: 'client-tour',
        variables: { order: 4 },
        requestTimeout: PATIENCE_MS,
    })
    check(await work(client, 'first-step', 1), [4])
    await publish(4)
    check(await work(client, 'second-step', 1), [4])
    const { variables } = await result
    check([variables.order, variables['second-step']], [4, true])
}

async function main() {
    const client = new ZBClient(process.env.ZEEBE_ADDRESS, { loglevel: 'ERROR', longPoll: 10_000 })
    await { before, after }[process.argv[2]](client)
    await client.close()
}

main().then(
    () => process.exit(0),
    (error) => {
        console.error(error)
        process.exit(1)
    },
)
