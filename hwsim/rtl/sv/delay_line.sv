// A word, CYCLES clock cycles late (0: a wire).
//
// Timing: d in cycle t is q in cycle t + CYCLES; q is 0 until then after reset.
module delay_line #(
    parameter int BITS = 1,
    parameter int CYCLES = 1
) (
    input  wire            clk,
    input  wire            rst,
    input  wire [BITS-1:0] d,
    output wire [BITS-1:0] q
);
  generate
    if (CYCLES == 0) begin : wired
      wire unused = &{1'b0, clk, rst};
      assign q = d;
    end else if (CYCLES == 1) begin : single
      reg [BITS-1:0] stage;
      always @(posedge clk) stage <= rst ? {BITS{1'b0}} : d;
      assign q = stage;
    end else begin : many
      reg [CYCLES*BITS-1:0] stages;
      always @(posedge clk) stages <= rst ? {(CYCLES * BITS) {1'b0}} : {stages[(CYCLES-1)*BITS-1:0], d};
      assign q = stages[CYCLES*BITS-1-:BITS];
    end
  endgenerate
endmodule
