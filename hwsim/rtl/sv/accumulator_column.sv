// The accumulators under one column of the weight-stationary array: one register for each stream index.
//
// Timing: in a cycle with valid = 1 the sum is stored at `index` (first_tile), or added to what stands there; the clock
// edge that ends the cycle writes it. `result` is what is written, and `overflow` is raised, in the same cycle.
module accumulator_column #(
    parameter int ACC_BITS = 24,
    parameter int INDEX_BITS = 8,
    parameter int SATURATE = 1
) (
    input  wire                         clk,
    input  wire                         valid,
    input  wire        [INDEX_BITS-1:0] index,
    input  wire                         first_tile,
    input  wire signed [  ACC_BITS-1:0] sum,
    output wire signed [  ACC_BITS-1:0] result,
    output wire                         overflow
);
  reg signed [ACC_BITS-1:0] accumulators[0:(1<<INDEX_BITS)-1];
  wire out_of_range;

  checked_add #(
      .ACC_BITS(ACC_BITS),
      .ADDEND_BITS(ACC_BITS),
      .SATURATE(SATURATE)
  ) adder (
      .value(first_tile ? {ACC_BITS{1'b0}} : accumulators[index]),
      .addend(sum),
      .result(result),
      .overflow(out_of_range)
  );

  assign overflow = valid && !first_tile && out_of_range;

  always @(posedge clk) if (valid) accumulators[index] <= result;
endmodule
