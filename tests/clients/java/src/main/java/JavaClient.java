import io.camunda.zeebe.client.ZeebeClient;
import io.camunda.zeebe.client.api.ZeebeFuture;
import io.camunda.zeebe.client.api.response.ProcessInstanceResult;
import io.camunda.zeebe.client.api.worker.JobWorker;
import java.time.Duration;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** The workflow of README.md with the Java client. Arguments: phase, path of process.bpmn. */
public final class JavaClient {
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  private JavaClient() {}

  public static void main(final String[] arguments) throws Exception {
    try (ZeebeClient client =
        ZeebeClient.newClientBuilder()
            .gatewayAddress(System.getenv("ZEEBE_ADDRESS"))
            .usePlaintext()
            .defaultRequestTimeout(PATIENCE)
            .build()) {
      if (arguments[0].equals("before")) {
        before(client, arguments[1]);
      } else {
        after(client);
      }
    }
  }

  private static void before(final ZeebeClient client, final String process) throws Exception {
    client.newTopologyRequest().send().join();
    client.newDeployResourceCommand().addResourceFile(process).send().join();
    for (int order = 1; order <= 3; order++) {
      client
          .newCreateInstanceCommand()
          .bpmnProcessId("client-tour")
          .latestVersion()
          .variables(Map.of("order", order))
          .send()
          .join();
    }
    try (Worker first = new Worker(client, "first-step")) {
      first.expect(1, 2, 3);
    }
  }

  private static void after(final ZeebeClient client) throws Exception {
    try (Worker first = new Worker(client, "first-step");
        Worker second = new Worker(client, "second-step")) {
      for (int order = 1; order <= 3; order++) {
        publish(client, order);
      }
      second.expect(1, 2, 3);
      final ZeebeFuture<ProcessInstanceResult> result =
          client
              .newCreateInstanceCommand()
              .bpmnProcessId("client-tour")
              .latestVersion()
              .variables(Map.of("order", 4))
              .withResult()
              .requestTimeout(PATIENCE)
              .send();
      first.expect(4);
      publish(client, 4);
      second.expect(4);
      final Map<String, Object> variables = result.join().getVariablesAsMap();
      if (!Boolean.TRUE.equals(variables.get("second-step"))) {
        throw new IllegalStateException("unexpected result " + variables);
      }
    }
  }

  private static void publish(final ZeebeClient client, final int order) {
    client.newPublishMessageCommand().messageName("paid").correlationKey(String.valueOf(order)).send().join();
  }

  /**
   * Completes jobs of a type and remembers whose they were. One worker serves the whole phase: a closed worker of this client still
   * takes the jobs that its last request for jobs brings.
   */
  private static final class Worker implements AutoCloseable {
    private final String type;
    private final BlockingQueue<Integer> orders = new LinkedBlockingQueue<>();
    private final JobWorker worker;

    private Worker(final ZeebeClient client, final String type) {
      this.type = type;
      worker =
          client
              .newWorker()
              .jobType(type)
              .handler(
                  (jobs, job) -> {
                    jobs.newCompleteCommand(job).variables(Map.of(type, true)).send().join();
                    orders.add((Integer) job.getVariablesAsMap().get("order"));
                  })
              .timeout(PATIENCE)
              .open();
    }

    private void expect(final Integer... expected) throws InterruptedException {
      final Set<Integer> left = new HashSet<>(Set.of(expected));
      while (!left.isEmpty()) {
        final Integer order = orders.poll(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        if (order == null || !left.remove(order)) {
          throw new IllegalStateException("expected jobs " + type + " of " + left + ", got " + order);
        }
      }
    }

    @Override
    public void close() {
      worker.close();
    }
  }
}
