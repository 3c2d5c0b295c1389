// A clock for simulators that have no C++ around them; a cycle takes 10 time units. `+vcd` writes trace.vcd.
module testbench;
  reg clk = 1'b0;
  initial forever #5 clk = !clk;

  configured configured (.clk(clk));

  initial begin
    if ($test$plusargs("vcd")) begin
      $dumpfile("trace.vcd");
      $dumpvars(0, testbench);
    end
  end
endmodule
