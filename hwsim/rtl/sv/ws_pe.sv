// One weight-stationary processing element: its weight stays, activations move right, partial sums move down.
//
// Timing, in the cycle in which valid_in is 1:
//   the product of activation_in and the weight is added to sum_in, the partial sum from above; `overflow` is raised in
//   this same cycle if the exact result leaves the accumulator; the clock edge that ends the cycle writes `sum`.
// While load_in is 1 the edge takes weight_in, the weight of the PE above.
// DOUBLE = 0: that register is the weight.
// DOUBLE = 1: it is the next fold's; swap_in travels with the first activation of a fold, which is multiplied by the
//   new weight already, and the edge copies it to where the rest of the fold finds it. Only then do `swap` and `load`
//   travel.
module ws_pe #(
    parameter int A_BITS = 8,
    parameter int A_SIGNED = 1,
    parameter int W_BITS = 8,
    parameter int W_SIGNED = 1,
    parameter int ACC_BITS = 24,
    parameter int SATURATE = 1,
    parameter int DOUBLE = 0
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire        [  A_BITS-1:0] activation_in,
    input  wire                       valid_in,
    input  wire                       swap_in,
    input  wire                       load_in,
    input  wire        [  W_BITS-1:0] weight_in,
    input  wire signed [ACC_BITS-1:0] sum_in,
    output reg         [  A_BITS-1:0] activation,
    output reg                        valid,
    output reg                        swap,
    output reg                        load,
    output reg         [  W_BITS-1:0] weight,
    output reg signed  [ACC_BITS-1:0] sum,
    output wire                       overflow
);
  localparam int PRODUCT_BITS = A_BITS + W_BITS + 2;

  wire [W_BITS-1:0] used;
  wire signed [PRODUCT_BITS-1:0] product;
  wire signed [ACC_BITS-1:0] next;
  wire out_of_range;

  multiply #(
      .A_BITS  (A_BITS),
      .A_SIGNED(A_SIGNED),
      .W_BITS  (W_BITS),
      .W_SIGNED(W_SIGNED)
  ) multiplier (
      .activation(activation_in),
      .weight(used),
      .product(product)
  );

  checked_add #(
      .ACC_BITS(ACC_BITS),
      .ADDEND_BITS(PRODUCT_BITS),
      .SATURATE(SATURATE)
  ) adder (
      .value(sum_in),
      .addend(product),
      .result(next),
      .overflow(out_of_range)
  );

  assign overflow = valid_in && out_of_range;

  always @(posedge clk) begin
    if (rst) begin
      activation <= {A_BITS{1'b0}};
      weight <= {W_BITS{1'b0}};
      sum <= {ACC_BITS{1'b0}};
      {valid, swap, load} <= 3'b0;
    end else begin
      activation <= activation_in;
      valid <= valid_in;
      {swap, load} <= (DOUBLE != 0) ? {swap_in, load_in} : 2'b0;
      if (load_in) weight <= weight_in;
      if (valid_in) sum <= next;
    end
  end

  generate
    if (DOUBLE != 0) begin : buffered
      reg [W_BITS-1:0] current;
      always @(posedge clk) begin
        if (rst) current <= {W_BITS{1'b0}};
        else if (swap_in) current <= weight;
      end
      assign used = swap_in ? weight : current;
    end else begin : plain
      assign used = weight;
    end
  endgenerate
endmodule
